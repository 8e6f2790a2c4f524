package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	cri "k8s.io/cri-client/pkg"
)

// stopPods ends every pod of a container runtime the way a kubelet would, so that databases close their files:
// the stop signal of each image, then SIGKILL when the grace is over. The kubelet must be stopped before, or it
// starts them again. Arguments: the runtime's endpoint, and the grace in seconds.
func stopPods() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: looma-stop-pods ENDPOINT SECONDS")
		os.Exit(2)
	}
	grace, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err == nil {
		err = stopAll(os.Args[1], grace)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func stopAll(endpoint string, grace int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(grace+30)*time.Second)
	defer cancel()
	runtime, err := cri.NewRemoteRuntimeService(endpoint, time.Duration(grace+20)*time.Second, nil, nil)
	if err != nil {
		return err
	}
	running := &runtimeapi.ContainerFilter{State: &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}}
	containers, err := runtime.ListContainers(ctx, running)
	if err != nil {
		return err
	}
	var stopping sync.WaitGroup
	for _, container := range containers {
		stopping.Go(func() {
			if err := runtime.StopContainer(ctx, container.Id, grace); err != nil {
				fmt.Fprintf(os.Stderr, "container %s: %v\n", container.Metadata.GetName(), err)
			}
		})
	}
	stopping.Wait()
	sandboxes, err := runtime.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	for _, sandbox := range sandboxes {
		stopping.Go(func() {
			if err := runtime.StopPodSandbox(ctx, sandbox.Id); err != nil {
				fmt.Fprintf(os.Stderr, "pod %s: %v\n", sandbox.Metadata.GetName(), err)
			}
		})
	}
	stopping.Wait()
	return nil
}
