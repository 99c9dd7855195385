{{/* What is fixed about each service: its folder in the image, its ports, its probe, whom it calls. */}}
{{- define "thalamus.services" -}}
gateway: { folder: gateway, grpc: 8081, http: 8080, ops: 7500, pdb: true, calls: [router, expert-host] }
router: { folder: router, grpc: 7402, ops: 7502, pdb: true, calls: [updater], callers: [gateway] }
expertHost: { folder: expert-host, grpc: 7403, ops: 7503, pdb: true, calls: [updater], callers: [gateway, composer] }
updater: { folder: updater, grpc: 7401, ops: 7501, calls: [], callers: [router, expert-host, composer, worker], volume: artifacts }
composer: { folder: composer, grpc: 7404, ops: 7504, calls: [updater], callers: [] }
worker: { folder: worker, ops: 7505, calls: [updater], callers: [] }
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
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Settings as environment variables: what the chart knows, then what values say. Takes {root, name, service}. */}}
{{- define "thalamus.settings" -}}
{{- $root := .root }}
{{- $full := include "thalamus.fullname" $root }}
{{- $settings := dict
  "THALAMUS_HOST" "0.0.0.0"
  "THALAMUS_OPS_PORT" (toString .service.ops)
  "THALAMUS_DATA" "/data"
  "THALAMUS_BUS" "kafka"
  "THALAMUS_KAFKA_BROKERS" (join "," $root.Values.kafka.brokers)
  "THALAMUS_LOG_LEVEL" $root.Values.telemetry.logLevel
  "THALAMUS_TRACE_RATIO" (toString $root.Values.telemetry.traceRatio)
  "THALAMUS_DRAIN_MS" (toString (int $root.Values.drainMs))
  "THALAMUS_READINESS_GRACE_MS" (toString (int $root.Values.readinessGraceMs)) }}
{{- with .service.grpc }}{{ $_ := set $settings "THALAMUS_GRPC_PORT" (toString .) }}{{ end }}
{{- with .service.http }}{{ $_ := set $settings "THALAMUS_HTTP_PORT" (toString .) }}{{ end }}
{{- with $root.Values.telemetry.otlpEndpoint }}{{ $_ := set $settings "THALAMUS_OTLP_ENDPOINT" . }}{{ end }}
{{- if has "router" .service.calls }}{{ $_ := set $settings "THALAMUS_ROUTER_ADDRESS" (printf "%s-router:7402" $full) }}{{ end }}
{{- if has "updater" .service.calls }}
{{- $_ := set $settings "THALAMUS_UPDATER_ADDRESS" (printf "%s-updater:7401" $full) }}
{{- $_ := set $settings "THALAMUS_ARTIFACTS" "updater" }}
{{- end }}
{{- if .service.volume }}{{ $_ := set $settings "THALAMUS_ARTIFACTS_FOLDER" "/artifacts" }}{{ end }}
{{- range $name, $value := merge (deepCopy (index $root.Values .name).settings) $settings }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}

{{/* Ready when the gRPC health service says so; the worker, which serves no gRPC, answers over HTTP. */}}
{{- define "thalamus.probe" -}}
{{- if .grpc }}grpc: { port: {{ .grpc }} }{{ else }}httpGet: { path: /readyz, port: ops }{{ end }}
{{- end }}
