{{/* Labels of a target that are the pod's. */}}
{{- define "looma.prometheusPod" -}}
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
{{- end }}

{{/* And of a pod that belongs to an AIService: which, and which revision. */}}
{{- define "looma.prometheusService" -}}
{{ include "looma.prometheusPod" . }}
- {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_instance], target_label: service}
- {source_labels: [__meta_kubernetes_pod_label_looma_dev_revision], target_label: revision}
{{- end }}

{{/*
Its configuration: one list of pods for all jobs. `service` and `revision` are what Kubernetes says of a pod.

A label of these names that an engine gives itself says the same or is wrong, and is dropped. A gateway counts for the
services behind it: where a metric names one, that is the service, and the gateway's own revision says nothing there.
Operator and console are taken at their word.
*/}}
{{- define "looma.prometheusConfig" -}}
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: engines
    scrape_interval: {{ .Values.prometheus.interval }}
    # An engine that makes a series of every request harms itself alone.
    sample_limit: 20000
    kubernetes_sd_configs: &pods
      - role: pod
        namespaces: {names: {{ include "looma.gatewayNamespaces" . }}}
        selectors:
          - {role: pod, label: app.kubernetes.io/part-of=looma, field: status.phase=Running}
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_labelpresent_looma_dev_revision], regex: "true", action: keep}
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: gateway, action: drop}
      - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: http, action: keep}
      - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "false", action: drop}
      - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: (.+), target_label: __metrics_path__}
      {{- include "looma.prometheusService" . | nindent 6 }}
    metric_relabel_configs:
      - {regex: exported_(service|revision), action: labeldrop}
  - job_name: gateways
    scrape_interval: {{ .Values.prometheus.interval }}
    kubernetes_sd_configs: *pods
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: gateway, action: keep}
      - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: controller, action: keep}
      {{- include "looma.prometheusService" . | nindent 6 }}
    metric_relabel_configs:
      - {source_labels: [exported_service, exported_revision], regex: (.+);(.*), target_label: revision, replacement: $2}
      - {source_labels: [exported_service], regex: (.+), target_label: service}
      - {regex: exported_(service|revision), action: labeldrop}
  - job_name: haproxy
    kubernetes_sd_configs: *pods
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: gateway, action: keep}
      - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: probes, action: keep}
      {{- include "looma.prometheusService" . | nindent 6 }}
  - job_name: looma
    honor_labels: true
    kubernetes_sd_configs: *pods
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: looma-(operator|console), action: keep}
      - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: http, action: keep}
      {{- include "looma.prometheusPod" . | nindent 6 }}
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], target_label: service}
{{- end }}
