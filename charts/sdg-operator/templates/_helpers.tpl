{{- define "sdg-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sdg-operator.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains (include "sdg-operator.name" .) $name) -}}
{{- $name = printf "%s-%s" $name (include "sdg-operator.name" .) -}}
{{- end -}}
{{- $name = $name | trunc 63 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $name) -}}
{{- fail (printf "a Service cannot be called %s (a letter, then letters, digits and -): set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Name of objects outside any namespace: two releases of one name in two namespaces must not share them. */}}
{{- define "sdg-operator.clusterName" -}}
{{- if eq (include "sdg-operator.fullname" .) .Release.Namespace -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace (include "sdg-operator.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "sdg-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sdg-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "sdg-operator.ownLabels" -}}
{{ include "sdg-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sdg-operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of every object; none of a user's takes the place of one that a selector asks for. */}}
{{- define "sdg-operator.labels" -}}
{{- merge (include "sdg-operator.ownLabels" . | fromYaml) (.Values.labels | default dict) | toYaml -}}
{{- end -}}

{{/* The same with those that a monitor, a rule or a dashboard is found by: (list context labels). */}}
{{- define "sdg-operator.foundBy" -}}
{{- merge (include "sdg-operator.ownLabels" (index . 0) | fromYaml) (index . 1 | default dict) ((index . 0).Values.labels | default dict) | toYaml -}}
{{- end -}}

{{- define "sdg-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sdg-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* A securityContext: the given one, even an empty one; ours where there is none. (list given default) */}}
{{- define "sdg-operator.securityContext" -}}
{{- $given := index . 0 -}}
{{- if kindIs "invalid" $given -}}{{- $given = index . 1 | fromYaml -}}{{- end -}}
{{- with $given -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "sdg-operator.podSecurityContext" -}}
{{- include "sdg-operator.securityContext" (list .Values.podSecurityContext
  "{runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}") -}}
{{- end -}}

{{- define "sdg-operator.containerSecurityContext" -}}
{{- include "sdg-operator.securityContext" (list .Values.securityContext
  "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, capabilities: {drop: [ALL]}}") -}}
{{- end -}}

{{/* Reference of one image: (list context image). */}}
{{- define "sdg-operator.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $root.Values.images.registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" .) $image.repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (coalesce $image.tag $root.Values.images.tag $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The operator's settings file. */}}
{{- define "sdg-operator.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $own := dict -}}
{{- range $name, $value := $settings.images -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $own $name $value -}}{{- end -}}
{{- end -}}
{{- $images := dict
  "engine" (include "sdg-operator.image" (list . .Values.images.engine))
  "runner" (include "sdg-operator.image" (list . .Values.images.runner))
  "pullPolicy" .Values.images.pullPolicy -}}
{{- $_ := set $settings "images" (mergeOverwrite $images $own) -}}
{{/* Helm takes a key away that a user sets to null; for this one null has a meaning of its own: no deadline. */}}
{{- if and $settings.defaults (not (hasKey $settings.defaults "startDeadlineSeconds")) -}}
{{- $_ := set $settings.defaults "startDeadlineSeconds" nil -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* The default Secrets; what is set to null is the operator's own default. */}}
{{- define "sdg-operator.storageSecret" -}}
{{- (.Values.settings.defaults | default dict).storageSecret | default "sdg-storage" -}}
{{- end -}}
{{- define "sdg-operator.teacherSecret" -}}
{{- (.Values.settings.defaults | default dict).teacherSecret | default "sdg-teacher" -}}
{{- end -}}

{{/*
Names of all Secrets that the operator may read, as a JSON list. A list that is not given is the operator's own. A hub's token is
for the teacher's pod alone.
*/}}
{{- define "sdg-operator.secretNames" -}}
{{- $allowed := .Values.settings.allowed | default dict -}}
{{- $storage := hasKey $allowed "storageSecrets" | ternary $allowed.storageSecrets (list "sdg-storage") -}}
{{- $teacher := hasKey $allowed "teacherSecrets" | ternary $allowed.teacherSecrets (list "sdg-teacher") -}}
{{- concat $storage $teacher ($allowed.gitSecrets | default list)
  (list (include "sdg-operator.storageSecret" .) (include "sdg-operator.teacherSecret" .)) | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/*
The operator's own way to the stores: the proxies that runs use, and the CA bundle. In a pod it never asks the API server by a
proxy. Only the variables that extraEnv does not give.
*/}}
{{- define "sdg-operator.networkEnv" -}}
{{- $given := list -}}
{{- range .Values.extraEnv }}{{- $given = append $given .name -}}{{- end -}}
{{- $proxy := .Values.settings.proxy | default dict -}}
{{- $env := dict -}}
{{- with $proxy.httpProxy }}{{- $_ := set $env "HTTP_PROXY" . -}}{{- end -}}
{{- with $proxy.httpsProxy }}{{- $_ := set $env "HTTPS_PROXY" . -}}{{- end -}}
{{- if $env -}}
{{- $_ := set $env "NO_PROXY" (join "," (compact (list $proxy.noProxy "localhost" "127.0.0.1"))) -}}
{{- end -}}
{{- if .Values.caBundle.configMapName -}}
{{- $_ := set $env "AWS_CA_BUNDLE" "/etc/sdg-operator-ca/ca.crt" -}}
{{- end -}}
{{- range $name, $value := $env }}
{{- if not (has $name $given) }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end -}}
