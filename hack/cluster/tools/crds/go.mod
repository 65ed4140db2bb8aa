// CustomResourceDefinitions of others, which tests hold our manifests against. Nothing is built from these modules.
module sdg-operator.io/hack/crds

go 1.26

require (
	github.com/argoproj/argo-cd/v3 v3.2.0
	github.com/fluxcd/helm-controller v1.4.0
	github.com/fluxcd/kustomize-controller v1.7.3
	github.com/fluxcd/source-controller v1.7.0
	github.com/kubeflow/trainer/v2 v2.1.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
