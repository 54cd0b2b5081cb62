{{- define "hooktide.name" -}}
{{- if contains "hooktide" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-hooktide" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "hooktide.selector" -}}
app.kubernetes.io/name: hooktide
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hooktide.labels" -}}
{{ include "hooktide.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
