// The additions to the built-in cluster that are not part of Kubernetes, as one static program.
//
// The name it is called with decides what it is: `metrics-server` (in a pod) or `looma-provisioner` (on the node).
// They are a module of their own because metrics-server wants newer Kubernetes libraries than the control plane.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/logs"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "metrics-server":
		err = app.NewMetricsServerCommand(genericapiserver.SetupSignalHandler()).Execute()
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
