// Stands in for flannel's install-conf: puts a file in place, whole or not at all.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s SOURCE TARGET\n", os.Args[0])
		os.Exit(1)
	}
	if err := install(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func install(source, target string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".tmp")
	if err := os.WriteFile(unfinished, text, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, target)
}
