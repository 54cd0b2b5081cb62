{{/* What a pod is, with either database. */}}
{{- define "hooktide.pod" -}}
metadata:
  labels:
    {{- include "hooktide.labels" . | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  # Longer than --stop-within (12) and the three seconds after it, and the pause before.
  terminationGracePeriodSeconds: 30
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: hooktide
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        {{- if eq .Values.database "postgresql" }}
        - --key-file
        - /etc/hooktide/key
        - --processes
        - {{ .Values.processes | quote }}
        {{- end }}
      env:
        - name: HOOKTIDE_LISTEN
          value: 0.0.0.0:8080
        - name: HOOKTIDE_PUBLIC_URL
          value: {{ .Values.publicUrl | quote }}
        - name: HOOKTIDE_OPERATOR_KEY
          valueFrom:
            secretKeyRef:
              name: {{ .Values.existingSecret }}
              key: operator-key
        {{- if eq .Values.database "postgresql" }}
        - name: HOOKTIDE_DATABASE
          valueFrom:
            secretKeyRef:
              name: {{ .Values.existingSecret }}
              key: database
        {{- end }}
        {{- with .Values.trustedProxies }}
        - name: HOOKTIDE_TRUSTED_PROXY
          value: {{ join " " . | quote }}
        {{- end }}
        {{- range $name, $value := .Values.settings }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      ports:
        - name: http
          containerPort: 8080
      startupProbe:
        httpGet: {path: /health/live, port: http}
        periodSeconds: 2
        # Five minutes: an upgrade may change the schema of a large database first.
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /health/live, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /health/ready, port: http}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 2
      lifecycle:
        preStop:
          # Wait until no more requests arrive: a pod is stopped before its Service is updated.
          exec: {command: ["sleep", "5"]}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: ["ALL"]
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if eq .Values.database "postgresql" }}
        - name: key
          mountPath: /etc/hooktide
          readOnly: true
        {{- else }}
        - name: data
          mountPath: /var/lib/hooktide
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if eq .Values.database "postgresql" }}
    - name: key
      secret:
        secretName: {{ .Values.existingSecret }}
        items:
          - {key: key, path: key}
        defaultMode: 0440
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
