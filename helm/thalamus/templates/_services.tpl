{{/*
What is fixed about each service: its folder in the image, its ports, whether it reads and writes the bus, whom it calls. "http" is
open to callers of the mesh, "rest" is the HTTP form of a service behind the gateway, which asks for no key.
"npm run helm:check" compares this table with the settings of the services.
*/}}
{{- define "thalamus.services" -}}
gateway: { folder: gateway, grpc: 8081, http: 8080, ops: 7500, bus: true, upstreams: true, calls: [router, expert-host, composer, updater] }
router: { folder: router, grpc: 7402, ops: 7502, bus: true, calls: [updater] }
expertHost: { advertises: true, folder: expert-host, grpc: 7403, rest: 7603, ops: 7503, bus: true, calls: [updater] }
updater: { advertises: true, folder: updater, grpc: 7401, ops: 7501, bus: true, operators: true, claim: true, calls: [expert-host] }
composer: { folder: composer, grpc: 7404, ops: 7504, operators: true, calls: [updater] }
worker: { folder: worker, ops: 7505, calls: [updater] }
{{- end }}

{{- define "thalamus.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that select the pods of a service. Takes {root, folder}. */}}
{{- define "thalamus.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .folder }}
{{- end }}

{{- define "thalamus.labels" -}}
{{ include "thalamus.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: thalamus
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "thalamus.image" -}}
{{- with .Values.global.imageRegistry }}{{ . }}/{{ end }}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "thalamus.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "thalamus.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* Whether a service has, or may get, more than one pod. Takes its values. */}}
{{- define "thalamus.isReplicated" -}}
{{- $autoscaling := dig "autoscaling" (dict "enabled" false) . }}
{{- if ternary (gt (int (dig "maxReplicas" 1 $autoscaling)) 1) (gt (int .replicas) 1) $autoscaling.enabled }}true{{ end }}
{{- end }}

{{/* A value as an environment variable has it: whole numbers without exponent. */}}
{{- define "thalamus.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* Settings as environment variables: what the chart knows, then what values say. Takes {root, name, service}. */}}
{{- define "thalamus.settings" -}}
{{- $root := .root }}
{{- $full := include "thalamus.fullname" $root }}
{{- $settings := dict
  "THALAMUS_HOST" "0.0.0.0"
  "THALAMUS_OPS_PORT" .service.ops
  "THALAMUS_LOG_LEVEL" $root.Values.telemetry.logLevel
  "THALAMUS_TRACE_RATIO" $root.Values.telemetry.traceRatio
  "THALAMUS_DRAIN_MS" $root.Values.drainMs
  "THALAMUS_READINESS_GRACE_MS" $root.Values.readinessGraceMs }}
{{- if not .service.claim }}{{ $_ := set $settings "THALAMUS_DATA" "/data" }}{{ end }}
{{- with .service.grpc }}{{ $_ := set $settings "THALAMUS_GRPC_PORT" . }}{{ end }}
{{- with .service.http | default .service.rest }}{{ $_ := set $settings "THALAMUS_HTTP_PORT" . }}{{ end }}
{{- with $root.Values.telemetry.otlpEndpoint }}{{ $_ := set $settings "THALAMUS_OTLP_ENDPOINT" . }}{{ end }}
{{- if .service.bus }}
{{- $_ := set $settings "THALAMUS_BUS" "kafka" }}
{{- $_ := set $settings "THALAMUS_KAFKA_BROKERS" (join "," $root.Values.kafka.brokers) }}
{{- end }}
{{- if has "router" .service.calls }}{{ $_ := set $settings "THALAMUS_ROUTER_ADDRESS" (printf "%s-router:7402" $full) }}{{ end }}
{{- if has "composer" .service.calls }}{{ $_ := set $settings "THALAMUS_COMPOSER_ADDRESS" (printf "%s-composer:7404" $full) }}{{ end }}
{{- if has "updater" .service.calls }}
{{- $_ := set $settings "THALAMUS_UPDATER_ADDRESS" (printf "%s-updater:7401" $full) }}
{{- if not .service.upstreams }}{{ $_ := set $settings "THALAMUS_ARTIFACTS" "updater" }}{{ end }}
{{- end }}
{{- if .service.upstreams }}{{ $_ := set $settings "THALAMUS_UPSTREAM_KEY_FOLDER" "/run/secrets/thalamus" }}{{ end }}
{{- if .service.claim }}
{{- $_ := set $settings "THALAMUS_ARTIFACTS_FOLDER" "/data/artifacts" }}
{{- if (index $root.Values .name).bootstrapKey }}{{ $_ := set $settings "THALAMUS_BOOTSTRAP_KEY_FILE" "/data/admin.key" }}{{ end }}
{{- end }}
{{- range $name, $value := merge (deepCopy (index $root.Values .name).settings) $settings }}
- { name: {{ $name }}, value: {{ include "thalamus.text" $value | quote }} }
{{- end }}
{{- end }}

{{/* Alive when the gRPC server says that it serves; the worker, which has none, answers over HTTP. Takes the service. */}}
{{- define "thalamus.isAlive" -}}
{{- if .grpc }}grpc: { port: {{ .grpc }} }{{ else }}httpGet: { path: /healthz, port: ops }{{ end }}
{{- end }}
