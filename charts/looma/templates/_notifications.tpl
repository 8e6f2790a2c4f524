{{/*
Who is told of what, as the operator reads it (settings.json), without any address or secret. What the schema cannot say
in a sentence is refused here.
*/}}
{{- define "looma.notificationSettings" -}}
{{- $receivers := list }}
{{- range $name, $receiver := .Values.notifications.receivers }}
{{- if $receiver }}
{{- if and $receiver.signingSecret (eq $receiver.type "wecom") }}
{{- fail (printf "notifications.receivers.%s.signingSecret: WeCom's robots know no signature; leave it out" $name) }}
{{- end }}
{{- $one := dict "name" $name "type" $receiver.type }}
{{- range $key := list "events" "severity" "namespaces" "services" "language" }}
{{- with index $receiver $key }}
{{- $_ := set $one $key . }}
{{- end }}
{{- end }}
{{- $receivers = append $receivers $one }}
{{- end }}
{{- end }}
{{- if $receivers }}
{{- dict "receivers" $receivers "consoleUrl" .Values.notifications.consoleUrl "cluster" .Values.notifications.cluster | toJson }}
{{- end }}
{{- end }}

{{/*
The folder with the settings and, by receiver, what its Secrets hold. A Secret that is not there keeps no operator from
starting: rollouts come first, and the kubelet puts it there once it exists.
*/}}
{{- define "looma.notificationVolume" -}}
- name: notifications
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: looma-notifications}
      {{- range $name, $receiver := .Values.notifications.receivers }}
      {{- if $receiver }}
      {{- range $file, $source := dict "url" $receiver.url "signing-secret" $receiver.signingSecret "ca.crt" $receiver.certificateAuthority }}
      {{- with $source }}
      - secret:
          name: {{ .secret }}
          optional: true
          items: [{key: {{ .key | quote }}, path: {{ printf "%s/%s" $name $file | quote }}}]
      {{- end }}
      {{- end }}
      {{- end }}
      {{- end }}
{{- end }}
