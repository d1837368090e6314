// Stands in for crictl, whose source is no part of Kubernetes': asks the container runtime over the
// real interface, in the version that kubelet 1.20 speaks, for what kubeadm and people ask.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
)

const (
	configuration = "/etc/crictl.yaml"
	// what the real one tries first where nothing names an endpoint
	usual = "unix:///var/run/dockershim.sock"
)

type runtime struct {
	cri.RuntimeServiceClient
	cri.ImageServiceClient
	context context.Context
}

func main() {
	endpoint := flag.String("runtime-endpoint", "", "")
	flag.StringVar(endpoint, "r", "", "")
	flag.Parse()
	if err := run(*endpoint, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "FATA[0000] %v\n", err)
		os.Exit(1)
	}
}

func run(endpoint string, words []string) error {
	if len(words) == 0 {
		return errors.New("usage: crictl [-r ENDPOINT] COMMAND [ARGUMENT...]")
	}
	if endpoint == "" {
		endpoint = configured()
	}
	if strings.HasPrefix(endpoint, "/") {
		endpoint = "unix://" + endpoint
	}
	// the real one takes two seconds; an emulated machine may need more
	connecting, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(connecting, endpoint, grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		return fmt.Errorf("connect: connect endpoint '%s', make sure you are running as root and the endpoint has been started: %w", endpoint, err)
	}
	defer connection.Close()
	to := runtime{cri.NewRuntimeServiceClient(connection), cri.NewImageServiceClient(connection), context.Background()}
	return to.command(words[0], words[1:])
}

// configured reads the one key that matters here.
func configured() string {
	file, err := os.Open(configuration)
	if err != nil {
		return usual
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "runtime-endpoint" {
			return strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return usual
}

func (r runtime) command(name string, words []string) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	quiet := flags.Bool("q", false, "IDs alone")
	all := flags.Bool("a", false, "stopped ones, too")
	output := flags.String("o", "", "json")
	timeout := flags.Int64("t", 0, "seconds until what is to be stopped is killed")
	wanted := labels{}
	flags.Var(wanted, "label", "key=value, which containers must have")
	if err := flags.Parse(words); err != nil {
		return err
	}
	switch arguments := flags.Args(); {
	case name == "info" && len(arguments) == 0:
		return r.info()
	case name == "version" && len(arguments) == 0:
		return r.version()
	case name == "images" && len(arguments) == 0:
		return r.images(*quiet, *output == "json")
	case name == "pods" && len(arguments) == 0:
		return r.pods(*quiet)
	case name == "ps" && len(arguments) == 0:
		return r.containers(*quiet, *all, wanted)
	case len(arguments) == 0:
		return fmt.Errorf("unknown command or nothing named: %s", name)
	default:
		for _, argument := range arguments {
			if err := r.one(name, argument, *timeout); err != nil {
				return err
			}
		}
		return nil
	}
}

func (r runtime) one(name, what string, timeout int64) (err error) {
	switch name {
	case "pull":
		var answer *cri.PullImageResponse
		if answer, err = r.PullImage(r.context, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: what}}); err == nil {
			fmt.Printf("Image is up to date for %s\n", answer.ImageRef)
		}
	case "inspecti":
		var answer *cri.ImageStatusResponse
		answer, err = r.ImageStatus(r.context, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: what}})
		if err == nil && answer.Image == nil {
			err = fmt.Errorf("no such image %q present", what)
		}
		if err == nil {
			err = show(answer)
		}
	case "inspect":
		var answer *cri.ContainerStatusResponse
		if answer, err = r.ContainerStatus(r.context, &cri.ContainerStatusRequest{ContainerId: what}); err == nil {
			err = show(answer)
		}
	case "rmi":
		_, err = r.RemoveImage(r.context, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: what}})
	case "stop":
		_, err = r.StopContainer(r.context, &cri.StopContainerRequest{ContainerId: what, Timeout: timeout})
	case "rm":
		_, err = r.RemoveContainer(r.context, &cri.RemoveContainerRequest{ContainerId: what})
	case "stopp":
		if _, err = r.StopPodSandbox(r.context, &cri.StopPodSandboxRequest{PodSandboxId: what}); err == nil {
			fmt.Printf("Stopped sandbox %s\n", what)
		}
	case "rmp":
		if _, err = r.RemovePodSandbox(r.context, &cri.RemovePodSandboxRequest{PodSandboxId: what}); err == nil {
			fmt.Printf("Removed sandbox %s\n", what)
		}
	default:
		return fmt.Errorf("this stand-in does not know: crictl %s", name)
	}
	return err
}

func (r runtime) info() error {
	answer, err := r.RuntimeServiceClient.Status(r.context, &cri.StatusRequest{})
	if err != nil {
		return fmt.Errorf("getting status of runtime: %w", err)
	}
	return show(answer)
}

func (r runtime) version() error {
	answer, err := r.RuntimeServiceClient.Version(r.context, &cri.VersionRequest{})
	if err != nil {
		return err
	}
	return show(answer)
}

func (r runtime) images(quiet, wanted bool) error {
	answer, err := r.ListImages(r.context, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	if wanted {
		return show(answer)
	}
	rows := [][]string{{"IMAGE", "SIZE"}}
	for _, image := range answer.Images {
		rows = append(rows, []string{image.Id, strings.Join(image.RepoTags, ","), fmt.Sprint(image.Size_)})
	}
	table(rows, quiet)
	return nil
}

func (r runtime) pods(quiet bool) error {
	answer, err := r.ListPodSandbox(r.context, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	rows := [][]string{{"STATE", "NAMESPACE", "NAME"}}
	for _, pod := range answer.Items {
		rows = append(rows, []string{pod.Id, pod.State.String(), pod.Metadata.Namespace, pod.Metadata.Name})
	}
	table(rows, quiet)
	return nil
}

// labels that are all to be there.
type labels map[string]string

func (l labels) String() string { return fmt.Sprint(map[string]string(l)) }

func (l labels) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not key=value", text)
	}
	l[key] = value
	return nil
}

func (r runtime) containers(quiet, all bool, wanted labels) error {
	filter := &cri.ContainerFilter{LabelSelector: wanted}
	if !all {
		filter.State = &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	}
	answer, err := r.ListContainers(r.context, &cri.ListContainersRequest{Filter: filter})
	if err != nil {
		return err
	}
	rows := [][]string{{"STATE", "NAME", "ATTEMPT", "IMAGE"}}
	for _, c := range answer.Containers {
		rows = append(rows, []string{c.Id, c.State.String(), c.Metadata.Name, fmt.Sprint(c.Metadata.Attempt), c.ImageRef})
	}
	table(rows, quiet)
	return nil
}

// table shows rows that begin with an ID, but for the first, which is the heading of the others.
func table(rows [][]string, quiet bool) {
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer out.Flush()
	for index, row := range rows {
		switch {
		case quiet && index > 0:
			fmt.Fprintln(out, row[0])
		case quiet:
		case index == 0:
			fmt.Fprintln(out, "ID\t"+strings.Join(row, "\t"))
		default:
			fmt.Fprintln(out, strings.Join(row, "\t"))
		}
	}
}

func show(answer any) error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(answer)
}
