// Stands in for flannel's CNI plugin: tells `bridge` the subnet that flanneld has written down. It
// keeps what it told, since a pod's network is taken down as it was put up.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	subnetFile = "/run/flannel/subnet.env"
	kept       = "/var/lib/cni/flannel"
)

type configuration map[string]any

func main() {
	if err := run(); err != nil {
		// as the CNI specification has errors
		_ = json.NewEncoder(os.Stdout).Encode(configuration{"cniVersion": "0.3.1", "code": 100, "msg": err.Error()})
		os.Exit(1)
	}
}

func run() error {
	command, container := os.Getenv("CNI_COMMAND"), os.Getenv("CNI_CONTAINERID")
	if command == "VERSION" {
		_, err := fmt.Println(`{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}`)
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if container == "" {
		return errors.New("CNI_CONTAINERID is not set")
	}
	file := filepath.Join(kept, container)
	switch command {
	case "ADD":
		delegate, err := delegate(text)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(kept, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, delegate, 0o600); err != nil {
			return err
		}
		return bridge(delegate)
	case "DEL":
		delegate, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was taken down before
		}
		if err != nil {
			return err
		}
		if err := bridge(delegate); err != nil {
			return err
		}
		return os.Remove(file)
	case "CHECK":
		return nil
	}
	return fmt.Errorf("unknown CNI_COMMAND %q", command)
}

// delegate is the configuration for `bridge`.
func delegate(text []byte) ([]byte, error) {
	var own struct {
		Name       string
		CNIVersion string
		Delegate   configuration
	}
	if err := json.Unmarshal(text, &own); err != nil {
		return nil, err
	}
	subnet, err := readSubnet()
	if err != nil {
		return nil, fmt.Errorf("loadFlannelSubnetEnv failed: %w", err)
	}
	out := configuration{"type": "bridge", "isGateway": true}
	for key, value := range own.Delegate {
		out[key] = value
	}
	mtu, err := strconv.Atoi(subnet["FLANNEL_MTU"])
	if err != nil {
		return nil, err
	}
	out["name"], out["cniVersion"], out["mtu"] = own.Name, own.CNIVersion, mtu
	// FLANNEL_SUBNET is the bridge's own address with the subnet's length; host-local wants the network
	_, network, err := net.ParseCIDR(subnet["FLANNEL_SUBNET"])
	if err != nil {
		return nil, err
	}
	// only one of the two masquerades
	out["ipMasq"] = subnet["FLANNEL_IPMASQ"] != "true"
	out["ipam"] = configuration{
		"type":   "host-local",
		"ranges": [][]configuration{{{"subnet": network.String()}}},
		"routes": []configuration{{"dst": subnet["FLANNEL_NETWORK"]}},
	}
	return json.Marshal(out)
}

func readSubnet() (map[string]string, error) {
	text, err := os.ReadFile(subnetFile)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			values[name] = value
		}
	}
	for _, name := range []string{"FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"} {
		if values[name] == "" {
			return nil, fmt.Errorf("%s is missing in %s", name, subnetFile)
		}
	}
	return values, nil
}

func bridge(configuration []byte) error {
	for _, dir := range filepath.SplitList(os.Getenv("CNI_PATH")) {
		program := filepath.Join(dir, "bridge")
		if _, err := os.Stat(program); err != nil {
			continue
		}
		command := exec.Command(program)
		command.Stdin, command.Stderr = bytes.NewReader(configuration), os.Stderr
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("bridge: %w: %s", err, out)
		}
		_, err = os.Stdout.Write(out)
		return err
	}
	return fmt.Errorf("there is no bridge in %s", os.Getenv("CNI_PATH"))
}
