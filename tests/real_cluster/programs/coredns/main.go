// Stands in for CoreDNS, as far as kubeadm's Corefile uses it: answers for the names of services,
// forwards all others to the node's name servers, and says whether it lives and is ready.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"kube"
)

// The names that services have: kubeadm's Corefile names the zone `cluster.local`.
const zone = ".svc.cluster.local."

// What queries and answers of DNS have, RFC 1035.
const (
	header   = 12
	typeA    = 1
	nxdomain = 3
	servfail = 2
	timeout  = 2 * time.Second
)

var (
	services  atomic.Pointer[map[string]net.IP]
	upstreams []string
)

func main() {
	log.SetFlags(log.Ltime)
	corefile := flag.String("conf", "", "")
	flag.Parse()
	text, err := os.ReadFile(*corefile)
	if err != nil {
		log.Fatal(err)
	}
	if !strings.Contains(string(text), "kubernetes cluster.local") {
		log.Fatalf("%s does not name the zone cluster.local:\n%s", *corefile, text)
	}
	if err := readUpstreams(strings.Contains(string(text), "loop")); err != nil {
		log.Fatal(err)
	}
	api, err := kube.New()
	if err != nil {
		log.Fatal(err)
	}
	go serve(":8080", "/health", func() bool { return true })
	go serve(":8181", "/ready", func() bool { return services.Load() != nil })
	go serve(":9153", "/metrics", func() bool { return true })
	go overUDP()
	go overTCP()
	for {
		if err := follow(api); err != nil {
			log.Printf("plugin/kubernetes: %v", err)
		}
		time.Sleep(5 * time.Second)
	}
}

// readUpstreams takes the node's name servers from the pod's resolv.conf. The real one's plugin `loop`
// ends it where they lead back to itself.
func readUpstreams(loop bool) error {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "nameserver" {
			address := net.ParseIP(words[1])
			if loop && address.IsLoopback() {
				return fmt.Errorf("plugin/loop: Loop (%s -> %s:53) detected for zone \".\"", address, address)
			}
			upstreams = append(upstreams, net.JoinHostPort(words[1], "53"))
		}
	}
	return nil
}

func serve(address, path string, good func() bool) {
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		if !good() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "OK")
	})
	log.Fatal(http.ListenAndServe(address, mux))
}

func follow(api *kube.Client) error {
	var list struct {
		Items []struct {
			Metadata struct{ Name, Namespace string }
			Spec     struct{ ClusterIP string }
		}
	}
	if err := api.Get("/api/v1/services", &list); err != nil {
		return err
	}
	names := map[string]net.IP{}
	for _, service := range list.Items {
		if address := net.ParseIP(service.Spec.ClusterIP).To4(); address != nil {
			names[service.Metadata.Name+"."+service.Metadata.Namespace+zone] = address
		}
	}
	services.Store(&names)
	return nil
}

func overUDP() {
	socket, err := net.ListenPacket("udp", ":53")
	if err != nil {
		log.Fatal(err)
	}
	for {
		query := make([]byte, 4096)
		n, client, err := socket.ReadFrom(query)
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			if reply := answer(query[:n], "udp"); reply != nil {
				_, _ = socket.WriteTo(reply, client)
			}
		}()
	}
}

func overTCP() {
	listener, err := net.Listen("tcp", ":53")
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer client.Close()
			if query, err := receive(client); err == nil {
				if reply := answer(query, "tcp"); reply != nil {
					_ = send(client, reply)
				}
			}
		}()
	}
}

// receive and send: over TCP the length comes first.
func receive(stream io.Reader) ([]byte, error) {
	var length uint16
	if err := binary.Read(stream, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	message := make([]byte, length)
	_, err := io.ReadFull(stream, message)
	return message, err
}

func send(stream io.Writer, message []byte) error {
	_, err := stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// answer is nil for what is no query.
func answer(query []byte, network string) []byte {
	name, kind, end := question(query)
	if end == 0 {
		return nil
	}
	if !strings.HasSuffix(name, "cluster.local.") {
		if reply := forward(query, network); reply != nil {
			return reply
		}
		return reply(query[:end], servfail, nil)
	}
	names := services.Load()
	if names == nil {
		return reply(query[:end], servfail, nil)
	}
	address, known := (*names)[name]
	switch {
	case !known:
		return reply(query[:end], nxdomain, nil)
	case kind != typeA:
		return reply(query[:end], 0, nil)
	}
	return reply(query[:end], 0, address)
}

// question is the name, in small letters, and the type that are asked for, and where the question ends.
func question(query []byte) (name string, kind uint16, end int) {
	if len(query) < header || query[2]&0x80 != 0 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return "", 0, 0
	}
	at := header
	for {
		if at >= len(query) {
			return "", 0, 0
		}
		length := int(query[at])
		at++
		if length == 0 {
			break
		}
		if length > 63 || at+length > len(query) {
			return "", 0, 0
		}
		name += strings.ToLower(string(query[at:at+length])) + "."
		at += length
	}
	if at+4 > len(query) {
		return "", 0, 0
	}
	return name, binary.BigEndian.Uint16(query[at:]), at + 4
}

func reply(asked []byte, code byte, address net.IP) []byte {
	out := append([]byte(nil), asked...)
	out[2] = 0x84 | asked[2]&0x01 // an answer, with authority; recursion as asked for
	out[3] = 0x80 | code
	for _, count := range []int{6, 8, 10} {
		binary.BigEndian.PutUint16(out[count:], 0)
	}
	if address != nil {
		binary.BigEndian.PutUint16(out[6:], 1)
		// the name of the question, type A, class IN, 30 s, four bytes
		out = append(out, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 30, 0, 4)
		out = append(out, address...)
	}
	return out
}

func forward(query []byte, network string) []byte {
	for _, upstream := range upstreams {
		server, err := net.DialTimeout(network, upstream, timeout)
		if err != nil {
			continue
		}
		_ = server.SetDeadline(time.Now().Add(timeout))
		reply, err := exchange(server, query, network)
		server.Close()
		if err == nil {
			return reply
		}
	}
	return nil
}

func exchange(server net.Conn, query []byte, network string) ([]byte, error) {
	if network == "tcp" {
		if err := send(server, query); err != nil {
			return nil, err
		}
		return receive(server)
	}
	if _, err := server.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, 4096)
	n, err := server.Read(reply)
	return reply[:n], err
}
