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

{{- define "looma.consoleUrl" -}}
{{ printf "http://looma-console.%s.svc" .Release.Namespace }}
{{- end }}

{{/* Namespaces that the operator looks after, as a JSON list (helpers return text). */}}
{{- define "looma.namespaces" -}}
{{ .Values.operator.namespaces | default (list .Release.Namespace) | uniq | toJson }}
{{- end }}
