{{/* What the operator may do in a namespace that it serves; docs/rights.md says why. */}}
{{- define "sdg-operator.rules" -}}
- apiGroups: [sdg-operator.io]
  resources: [taxonomies, datagenerations]
  verbs: [get, list, watch]
- apiGroups: [sdg-operator.io]
  resources: [taxonomies/status, datagenerations/status]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# By name, and these names alone: no list, no watch.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ include "sdg-operator.secretNames" . }}
  verbs: [get]
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- if or .Values.rbac.networkPolicies (.Values.settings.networkPolicy | default dict).create }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, delete]
{{- end }}
{{- end -}}
