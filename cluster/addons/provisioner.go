package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// The name that the StorageClass of the built-in cluster asks for.
const provisionerName = "looma.dev/local"

// folders makes a folder of the node for each claim, and removes it with the claim.
type folders struct {
	base string // where the folders are, as the node sees it
	node string // the one node that has them
}

// provision serves claims until ctx ends. Arguments: a kubeconfig, the folder for volumes, and the node's name.
func provision(ctx context.Context, arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("usage: looma-provisioner KUBECONFIG FOLDER NODE")
	}
	config, err := clientcmd.BuildConfigFromFlags("", arguments[0])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	made := &folders{base: arguments[1], node: arguments[2]}
	controller.NewProvisionController(ctx, client, provisionerName, made, controller.LeaderElection(false)).Run(ctx)
	return nil
}

// Provision makes the folder, named after the claim so that a person can find it.
//
// The volume is `local`, not `hostPath`: only then does the kubelet give it to the pod's fsGroup, which a pod that is
// not root needs in order to write.
func (f *folders) Provision(_ context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode != corev1.PersistentVolumeFilesystem {
		return nil, controller.ProvisioningFinished, errors.New("local storage has folders only: volumeMode must be Filesystem")
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("local storage cannot do %s: use ReadWriteOnce", mode)
		}
	}
	path := filepath.Join(f.base, claim.Namespace+"_"+claim.Name+"_"+options.PVName)
	if err := os.MkdirAll(path, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			MountOptions:                  options.StorageClass.MountOptions,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{f.node},
				}},
			}}}},
		},
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the folder, and refuses any path that this provisioner cannot have made.
func (f *folders) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.Local == nil {
		return errors.New("not a local volume")
	}
	path := filepath.Clean(volume.Spec.Local.Path)
	if filepath.Dir(path) != filepath.Clean(f.base) || !strings.HasSuffix(path, "_"+volume.Name) {
		return fmt.Errorf("%s was not made for %s: left alone", path, volume.Name)
	}
	return os.RemoveAll(path)
}
