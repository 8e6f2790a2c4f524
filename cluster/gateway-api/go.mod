// Gateway API's definitions, which are YAML files of its module: pinned here by hash, read by looma_cluster.gateway_api.
// A module of its own, since nothing of it is compiled; `go mod tidy` would take the line out.
module looma.dev/looma/cluster/gateway-api

go 1.25.0

require sigs.k8s.io/gateway-api v1.4.1
