// Package conformance runs the Gateway API's own suite against Looma's gateway.
//
// It is started by tests/conformance/__main__.py within the node's network, where the addresses of Services lead, so
// the suite's own client calls the gateway as it is. What this file adds is what a person who runs several Gateways
// does (docs/gateway.md): it gives each of the suite's Gateways an address of its own, by a Service.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	suites "sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

const (
	addressOf = "looma.dev/address-of"
	firstPort = 20000
	base      = "base/manifests.yaml"
)

var (
	namespace = flag.String("looma-namespace", "looma", "namespace of the gateway")
	results   = flag.String("looma-results", "", "file for what the suite found")
	only      = flag.String("looma-only", "", "one test to run, by the suite's short name")
)

// ports are those for which each Gateway gets a port of its own; the suite's listeners have no others.
var ports = []int32{80, 81, 443, 8080, 8090, 8443}

// one is what became of a test. Core: every gateway has to pass it. Missing: what its class does not say it has.
type one struct {
	Name    string                 `json:"name"`
	Core    bool                   `json:"core"`
	Missing []features.FeatureName `json:"missing"`
	Ran     bool                   `json:"ran"`
	Passed  bool                   `json:"passed"`
}

// document is what the program that started this reads.
type document struct {
	Version string `json:"version"`
	Channel string `json:"channel"`
	Tests   []one  `json:"tests"`
}

func TestConformance(t *testing.T) {
	options := suites.DefaultOptions(t)
	options.ManifestFS = []fs.FS{manifests{suites.Manifests}}
	options.GatewayClassName = "looma"
	options.ConformanceProfiles = sets.New(suite.GatewayHTTPConformanceProfileName)
	options.RunTest = *only
	// Two busy cores take longer than the suite's ten seconds to be rid of a Deployment.
	options.TimeoutConfig.DeleteTimeout = time.Minute
	giveAddresses(t, options.Client)

	chosen := []suite.ConformanceTest{}
	profile := sets.New(features.SupportGateway, features.SupportHTTPRoute, features.SupportReferenceGrant)
	extended := features.SetsToNamesSet(features.GatewayExtendedFeatures, features.HTTPRouteExtendedFeatures)
	for _, test := range tests.ConformanceTests {
		// The suite holds tests of other kinds of routes, of meshes and of policies too.
		if profile.Union(extended).HasAll(test.Features...) {
			chosen = append(chosen, test)
		}
	}
	conformance, err := suite.NewConformanceTestSuite(options)
	require.NoError(t, err)
	conformance.Setup(t, chosen)
	require.NoError(t, conformance.Run(t, chosen))
	report, err := conformance.Report()
	require.NoError(t, err)
	failed := sets.New[string]()
	for _, of := range report.ProfileReports {
		failed.Insert(of.Core.FailedTests...)
		if of.Extended != nil {
			failed.Insert(of.Extended.FailedTests...)
		}
	}
	found := document{Version: report.GatewayAPIVersion, Channel: report.GatewayAPIChannel}
	for _, test := range chosen {
		missing := sets.New(test.Features...).Difference(conformance.SupportedFeatures)
		if *only != "" {
			// Of one test alone the suite asks not what the class says.
			missing.Clear()
		}
		ran := *only == "" && missing.Len() == 0 || *only == test.ShortName
		found.Tests = append(found.Tests, one{
			Name:    test.ShortName,
			Core:    profile.HasAll(test.Features...),
			Missing: sets.List(missing),
			Ran:     ran,
			Passed:  ran && !failed.Has(test.ShortName),
		})
	}
	if *results != "" {
		text, err := json.MarshalIndent(found, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*results, text, 0o600))
	}
}

// giveAddresses makes a Service for each Gateway that the suite's manifests have.
func giveAddresses(t *testing.T, c client.Client) {
	target := int32(firstPort)
	for _, name := range gateways(t) {
		made := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Name:        shortened(name),
				Namespace:   *namespace,
				Annotations: map[string]string{addressOf: name},
			},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{
					"app.kubernetes.io/name":     "gateway",
					"app.kubernetes.io/instance": "gateway",
				},
			},
		}
		for _, port := range ports {
			made.Spec.Ports = append(made.Spec.Ports, corev1.ServicePort{
				Name:       fmt.Sprintf("port-%d", port),
				Port:       port,
				TargetPort: intstr.FromInt32(target),
			})
			target++
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Create(ctx, made); !apierrors.IsAlreadyExists(err) {
			require.NoErrorf(t, err, "the address of %s", name)
		}
	}
}

// shortened is a name for the Service of a Gateway: the last 52 letters, which tell the suite's apart.
func shortened(gateway string) string {
	name := strings.ReplaceAll(gateway, "/", "-")
	if len(name) > 52 {
		name = name[len(name)-52:]
	}
	return "at-" + strings.TrimLeft(name, "-")
}

// gateways lists NAMESPACE/NAME of every Gateway in the manifests of the tests and in those that they all stand on.
func gateways(t *testing.T) []string {
	known := sets.New[string]()
	files, err := fs.Glob(suites.Manifests, "tests/*.yaml")
	require.NoError(t, err)
	for _, file := range append(files, base) {
		text, err := fs.ReadFile(suites.Manifests, file)
		require.NoError(t, err)
		for _, object := range objects(t, text) {
			if object.GetKind() == "Gateway" {
				known.Insert(path.Join(object.GetNamespace(), object.GetName()))
			}
		}
	}
	sorted := known.UnsortedList()
	sort.Strings(sorted)
	return sorted
}

func objects(t *testing.T, text []byte) []unstructured.Unstructured {
	reader := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var found []unstructured.Unstructured
	for {
		var object unstructured.Unstructured
		err := reader.Decode(&object)
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		if object.Object != nil {
			found = append(found, object)
		}
	}
}

// manifests are the suite's without the name server, which only its test of UDPRoute calls: its image is not built here.
type manifests struct{ fs.FS }

// ReadFile gives a file's documents; the suite opens its manifests by this alone.
func (m manifests) ReadFile(name string) ([]byte, error) {
	text, err := fs.ReadFile(m.FS, name)
	if err != nil || name != base {
		return text, err
	}
	var kept []string
	for _, part := range strings.Split(string(text), "\n---\n") {
		if !strings.Contains(part, "name: coredns") {
			kept = append(kept, part)
		}
	}
	return []byte(strings.Join(kept, "\n---\n")), nil
}
