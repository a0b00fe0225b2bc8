{{/* A release may be called 2nd.try; a Service has neither dots nor a digit first. */}}
{{- define "overspill.name" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = print "overspill-" $name }}{{ end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "overspill.selector" -}}
app.kubernetes.io/name: overspill
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "overspill.labels" -}}
{{ include "overspill.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "overspill.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What the operator may do in the namespaces it watches. It cannot read a user's Secret. */}}
{{- define "overspill.rules" -}}
- apiGroups: [overspill.dev]
  resources: [routingpolicies]
  verbs: [get, list, watch]
- apiGroups: [overspill.dev]
  resources: [routingpolicies/status]
  verbs: [get, patch]
- apiGroups: [overspill.dev]
  resources: [budgetledgers]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, update, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
{{- range .Values.scaleTargets }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson .resources }}
  verbs: [get, patch]
{{- end }}
{{- end -}}
