// The additions to the built-in cluster that are not part of Kubernetes, as one static program.
//
// The name it is called with decides what it is: `metrics-server` (in a pod) or `looma-provisioner` (on the node).
// It is a program beside the control plane, since both register the same metrics and flags, but of the same module: the
// Kubernetes libraries are compiled once for both, which is a quarter of a first build. That holds metrics-server at 0.8,
// whose libraries are not newer than the control plane's.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/logs"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "metrics-server":
		err = metricsServer(genericapiserver.SetupSignalHandler()).Execute()
	case "looma-provisioner":
		err = provision(genericapiserver.SetupSignalContext(), os.Args[1:])
	default:
		err = fmt.Errorf("%s is not an addition to the cluster: call this program by a link named after one", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
