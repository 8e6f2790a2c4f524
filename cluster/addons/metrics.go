package main

import (
	"github.com/spf13/cobra"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	openapi "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
	"sigs.k8s.io/metrics-server/pkg/api"
)

// metricsServer is metrics-server's own command, but for the names of its API documents.
func metricsServer(stop <-chan struct{}) *cobra.Command {
	chosen := options.NewOptions()
	command := &cobra.Command{
		Use: "metrics-server",
		RunE: func(*cobra.Command, []string) error {
			for _, err := range chosen.Validate() {
				return err
			}
			config, err := chosen.ServerConfig()
			if err != nil {
				return err
			}
			names, told := openapinamer.NewDefinitionNamer(api.Scheme), config.Apiserver.OpenAPIConfig.Info
			definitions := named(config.Apiserver.OpenAPIConfig.GetDefinitions)
			config.Apiserver.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, names)
			config.Apiserver.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, names)
			config.Apiserver.OpenAPIConfig.Info, config.Apiserver.OpenAPIV3Config.Info = told, told
			server, err := config.Complete()
			if err != nil {
				return err
			}
			return server.RunUntil(stop)
		},
	}
	flags := chosen.Flags()
	for _, set := range flags.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	return command
}

// named gives generated API documents the names by which newer Kubernetes libraries look for them: they ask a type for
// its name (io.k8s.metrics…), where the generator of metrics-server 0.8 wrote down its Go path (k8s.io/metrics/…).
func named(generated openapi.GetOpenAPIDefinitions) openapi.GetOpenAPIDefinitions {
	return func(reference openapi.ReferenceCallback) map[string]openapi.OpenAPIDefinition {
		renamed := map[string]openapi.OpenAPIDefinition{}
		byName := func(path string) spec.Ref { return reference(util.ToRESTFriendlyName(path)) }
		for path, definition := range generated(byName) {
			for i, dependency := range definition.Dependencies {
				definition.Dependencies[i] = util.ToRESTFriendlyName(dependency)
			}
			renamed[util.ToRESTFriendlyName(path)] = definition
		}
		return renamed
	}
}
