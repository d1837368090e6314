// Stands in for flanneld, as far as a cluster with `--kube-subnet-mgr` and the backend host-gw uses
// it: each node's pods are a subnet that the control plane chose; every node has a route to each
// other's by way of that node's address.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"kube"
)

const (
	annotation = "flannel.alpha.coreos.com/"
	subnetFile = "/run/flannel/subnet.env"
	netConf    = "/etc/kube-flannel/net-conf.json"
)

type node struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct{ PodCIDR string }
}

var ready atomic.Bool

func main() {
	log.SetFlags(log.Ltime)
	masquerade := flag.Bool("ip-masq", false, "")
	kubeSubnets := flag.Bool("kube-subnet-mgr", false, "")
	iface := flag.String("iface", "", "")
	healthPort := flag.Int("healthz-port", 0, "")
	flag.Parse()
	if !*kubeSubnets || *iface == "" || flag.NArg() > 0 {
		log.Fatal("this stand-in wants --kube-subnet-mgr and --iface, and knows no other way")
	}
	if *healthPort > 0 {
		go serveHealth(*healthPort)
	}
	if err := run(*iface, *masquerade); err != nil {
		log.Fatal(err)
	}
}

func serveHealth(port int) {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "flanneld is running") })
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "flanneld is ready")
	})
	log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", port), nil))
}

func run(iface string, masquerade bool) error {
	network, err := readNetwork()
	if err != nil {
		return err
	}
	link, address, err := addressOf(iface)
	if err != nil {
		return err
	}
	api, err := kube.New()
	if err != nil {
		return err
	}
	name, err := nodeName(api)
	if err != nil {
		return err
	}
	var own node
	if err := patiently(func() error { return api.Get("/api/v1/nodes/"+name, &own) }); err != nil {
		return err
	}
	_, subnet, err := net.ParseCIDR(own.Spec.PodCIDR)
	if err != nil {
		return fmt.Errorf("node %q pod cidr not assigned: %w", name, err)
	}
	if !network.Contains(subnet.IP) {
		return fmt.Errorf("subnet %q of the flannel net config doesn't contain %q PodCIDR of the %q node", network, subnet, name)
	}
	annotations := map[string]string{
		annotation + "backend-type":        "host-gw",
		annotation + "backend-data":        "null",
		annotation + "public-ip":           address.String(),
		annotation + "kube-subnet-manager": "true",
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": annotations}}
	if err := patiently(func() error { return api.Patch("/api/v1/nodes/"+name+"/status", patch) }); err != nil {
		return err
	}
	if err := writeSubnet(network, subnet, link.MTU, masquerade); err != nil {
		return err
	}
	if err := rules(network, subnet, masquerade); err != nil {
		return err
	}
	routes := map[string]string{}
	for {
		if err := follow(api, name, iface, routes); err != nil {
			log.Print(err)
		} else {
			ready.Store(true)
		}
		time.Sleep(5 * time.Second)
	}
}

// patiently waits for the API server as long as the real one does.
func patiently(ask func() error) (err error) {
	for range [10]int{} {
		if err = ask(); err == nil {
			return nil
		}
		log.Print(err)
		time.Sleep(3 * time.Second)
	}
	return fmt.Errorf("timeout contacting kube-api: %w", err)
}

func readNetwork() (*net.IPNet, error) {
	text, err := os.ReadFile(netConf)
	if err != nil {
		return nil, err
	}
	var conf struct {
		Network string
		Backend struct{ Type string }
	}
	if err := json.Unmarshal(text, &conf); err != nil {
		return nil, err
	}
	if conf.Backend.Type != "host-gw" {
		return nil, fmt.Errorf("%s: this stand-in knows the backend host-gw alone, not %q", netConf, conf.Backend.Type)
	}
	_, network, err := net.ParseCIDR(conf.Network)
	return network, err
}

func addressOf(iface string) (*net.Interface, net.IP, error) {
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, nil, err
	}
	addresses, err := link.Addrs()
	if err != nil {
		return nil, nil, err
	}
	for _, address := range addresses {
		if own, ok := address.(*net.IPNet); ok && own.IP.To4() != nil {
			return link, own.IP, nil
		}
	}
	return nil, nil, fmt.Errorf("failed to find IPv4 address for interface %s", iface)
}

func nodeName(api *kube.Client) (string, error) {
	name, namespace := os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE")
	if name == "" || namespace == "" {
		return "", errors.New("env variables POD_NAME and POD_NAMESPACE must be set")
	}
	var pod struct{ Spec struct{ NodeName string } }
	err := patiently(func() error { return api.Get("/api/v1/namespaces/"+namespace+"/pods/"+name, &pod) })
	if err == nil && pod.Spec.NodeName == "" {
		err = errors.New("node name not present in pod spec")
	}
	return pod.Spec.NodeName, err
}

func writeSubnet(network, subnet *net.IPNet, mtu int, masquerade bool) error {
	ones, _ := subnet.Mask.Size()
	first := append(net.IP(nil), subnet.IP.To4()...)
	first[3]++
	text := fmt.Sprintf("FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s/%d\nFLANNEL_MTU=%d\nFLANNEL_IPMASQ=%t\n",
		network, first, ones, mtu, masquerade)
	unfinished := filepath.Join(filepath.Dir(subnetFile), ".subnet.env")
	if err := os.WriteFile(unfinished, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, subnetFile)
}

// follow has a route to the pods of each other node, and none to those of nodes that are gone.
func follow(api *kube.Client, own, iface string, routes map[string]string) error {
	var nodes struct{ Items []node }
	if err := api.Get("/api/v1/nodes", &nodes); err != nil {
		return err
	}
	wanted := map[string]string{}
	for _, other := range nodes.Items {
		told := other.Metadata.Annotations
		if other.Metadata.Name != own && other.Spec.PodCIDR != "" && told[annotation+"kube-subnet-manager"] == "true" {
			wanted[other.Spec.PodCIDR] = told[annotation+"public-ip"]
		}
	}
	for subnet := range routes {
		if wanted[subnet] == "" {
			if err := call("ip", "route", "del", subnet); err != nil {
				log.Print(err)
			}
			delete(routes, subnet)
		}
	}
	for subnet, gateway := range wanted {
		if routes[subnet] == gateway {
			continue
		}
		if err := call("ip", "route", "replace", subnet, "via", gateway, "dev", iface); err != nil {
			return err
		}
		log.Printf("route to %s via %s", subnet, gateway)
		routes[subnet] = gateway
	}
	return nil
}

// rules lets pods' packets be forwarded, and gives those that leave the pods' network the node's address.
func rules(network, subnet *net.IPNet, masquerade bool) error {
	all, own := network.String(), subnet.String()
	list := [][]string{
		{"filter", "FLANNEL-FWD", "-s", all, "-j", "ACCEPT"},
		{"filter", "FLANNEL-FWD", "-d", all, "-j", "ACCEPT"},
		{"filter", "FORWARD", "-j", "FLANNEL-FWD"},
	}
	if masquerade {
		list = append(list,
			[]string{"nat", "FLANNEL-POSTRTG", "-m", "mark", "--mark", "0x4000/0x4000", "-j", "RETURN"},
			[]string{"nat", "FLANNEL-POSTRTG", "-s", own, "-d", all, "-j", "RETURN"},
			[]string{"nat", "FLANNEL-POSTRTG", "-s", all, "-d", own, "-j", "RETURN"},
			[]string{"nat", "FLANNEL-POSTRTG", "!", "-s", all, "-d", own, "-j", "RETURN"},
			[]string{"nat", "FLANNEL-POSTRTG", "-s", all, "!", "-d", "224.0.0.0/4", "-j", "MASQUERADE", "--random-fully"},
			[]string{"nat", "FLANNEL-POSTRTG", "!", "-s", all, "-d", all, "-j", "MASQUERADE", "--random-fully"},
			[]string{"nat", "POSTROUTING", "-j", "FLANNEL-POSTRTG"})
	}
	for _, chain := range [][]string{{"filter", "FLANNEL-FWD"}, {"nat", "FLANNEL-POSTRTG"}} {
		// it may be there from an earlier start
		if call("iptables", "-w", "-t", chain[0], "-N", chain[1]) != nil {
			if err := call("iptables", "-w", "-t", chain[0], "-F", chain[1]); err != nil {
				return err
			}
		}
	}
	for _, rule := range list {
		spec := append([]string{rule[1]}, rule[2:]...)
		if call("iptables", append([]string{"-w", "-t", rule[0], "-C"}, spec...)...) == nil {
			continue
		}
		if err := call("iptables", append([]string{"-w", "-t", rule[0], "-A"}, spec...)...); err != nil {
			return err
		}
	}
	return nil
}

func call(program string, arguments ...string) error {
	if out, err := exec.Command(program, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", program, arguments, err, out)
	}
	return nil
}
