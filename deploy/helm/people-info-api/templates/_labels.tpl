{{- define "labels" -}}
app.kubernetes.io/name: people-info-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "image" -}}
{{ printf "%s%s%s" .Values.image.repository (ternary "@" ":" (hasPrefix "sha256:" .Values.image.version)) .Values.image.version }}
{{- end }}
