{{/* Labels of every object; call with (dict "root" $ "component" "console"). */}}
{{- define "looma.labels" -}}
{{ include "looma.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels by which Services and Deployments find their pods: never changed after the first release. */}}
{{- define "looma.selector" -}}
app.kubernetes.io/name: {{ printf "looma-%s" .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: looma
{{- end }}

{{/* Image reference; call with (dict "root" $ "name" "engine"). */}}
{{- define "looma.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := coalesce (index $image.tags .name) $image.tag .root.Chart.AppVersion -}}
{{- printf "%s/looma-%s:%s" $image.registry .name $tag -}}
{{- end }}

{{/* What every pod spec begins with: the restricted Pod Security level. */}}
{{- define "looma.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "looma.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Whether the chart runs the database itself. */}}
{{- define "looma.ownDatabase" -}}
{{- if not (or .Values.postgres.url .Values.postgres.existingSecret) }}yes{{ end -}}
{{- end }}

{{/* The chart's own registry of models, HOST:PORT as pods see it; it has no TLS. */}}
{{- define "looma.ownRegistry" -}}
{{ printf "looma-registry.%s.svc:5000" .Release.Namespace }}
{{- end }}

{{/* Secret and key that hold a database URL; call with (dict "root" $ "role" "app" or "owner"). */}}
{{- define "looma.databaseUrl" -}}
secretKeyRef:
{{- if .root.Values.postgres.existingSecret }}
  name: {{ .root.Values.postgres.existingSecret }}
  key: {{ eq .role "app" | ternary "url" "owner-url" }}
{{- else if eq .role "app" }}
  name: looma-engines
  key: LOOMA_DATABASE_URL
{{- else }}
  name: looma-postgres
  key: owner-url
{{- end }}
{{- end }}

{{/* Whether the chart runs Prometheus itself. */}}
{{- define "looma.ownPrometheus" -}}
{{- if and .Values.prometheus.enabled (not .Values.prometheus.url) }}yes{{ end -}}
{{- end }}

{{/* Where the operator asks for metrics; empty if there is no Prometheus. */}}
{{- define "looma.prometheusUrl" -}}
{{- if include "looma.ownPrometheus" . }}{{ printf "http://looma-prometheus.%s.svc:9090" .Release.Namespace }}{{ else }}{{ .Values.prometheus.url }}{{ end -}}
{{- end }}

{{- define "looma.consoleUrl" -}}
{{ printf "http://looma-console.%s.svc" .Release.Namespace }}
{{- end }}

{{/* Whether the Gateway is served by Looma's own gateway pods. */}}
{{- define "looma.ownGateway" -}}
{{- if eq .Values.gateway.className "looma" }}yes{{ end -}}
{{- end }}

{{/* Whether the cluster has the definitions of Gateway API, as far as helm can see it. */}}
{{- define "looma.gatewayApi" -}}
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1" }}yes{{ end -}}
{{- end }}

{{/* Secret with the certificate of the HTTPS listener; empty if there is no such listener. */}}
{{- define "looma.gatewayCertificate" -}}
{{- if .Values.gateway.tls.secret }}{{ .Values.gateway.tls.secret }}{{ else if .Values.gateway.tls.selfSigned }}looma-gateway-tls{{ end -}}
{{- end }}

{{/* A route's parent, as a list. */}}
{{- define "looma.gatewayParents" -}}
- name: {{ .Values.gateway.name }}
  {{- with .Values.gateway.namespace }}
  namespace: {{ . }}
  {{- end }}
{{- end }}

{{/* Where engines call each other, and whoever is inside the cluster. */}}
{{- define "looma.apiUrl" -}}
{{ .Values.gateway.url | default (printf "http://looma-gateway.%s.svc" .Release.Namespace) }}
{{- end }}

{{/* Namespaces whose routes the gateway serves, as a JSON list: the operator's, and the release's for the console. */}}
{{- define "looma.gatewayNamespaces" -}}
{{ prepend (include "looma.namespaces" . | fromJsonArray) .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* Namespaces that the operator looks after, as a JSON list (helpers return text). */}}
{{- define "looma.namespaces" -}}
{{ .Values.operator.namespaces | default (list .Release.Namespace) | uniq | toJson }}
{{- end }}
