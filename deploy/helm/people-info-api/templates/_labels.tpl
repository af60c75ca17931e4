{{- define "labels" -}}
app.kubernetes.io/name: people-info-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
