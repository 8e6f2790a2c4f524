// Loopback ports of the host, forwarded into a node's network namespace.
//
// usage: looma-forward LISTEN=TARGET... , as in 127.0.0.1:8080=10.213.0.2:30080
//
// It refuses to listen anywhere but on loopback: the cluster is one person's, and nobody else on the network is asked in.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/inetaf/tcpproxy"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: looma-forward LISTEN=TARGET...")
	}
	var proxy tcpproxy.Proxy
	for _, pair := range os.Args[1:] {
		listen, target, found := strings.Cut(pair, "=")
		address, err := netip.ParseAddrPort(listen)
		if !found || err != nil || !address.Addr().IsLoopback() {
			fail("%q: wanted LOOPBACK:PORT=HOST:PORT", pair)
		}
		proxy.AddRoute(listen, tcpproxy.To(target))
	}
	if err := proxy.Run(); err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
