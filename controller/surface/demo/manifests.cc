#include "surface/demo/manifests.h"

namespace flotilla::surface::demo {

const char* const kFleet =
    R"yaml(# The members of the demo. The demo fills in ${PROMETHEUS}, and makes the Secrets with the
# kubeconfigs, which are called as the clusters are.
apiVersion: flotilla.dev/v1alpha1
kind: Cluster
metadata:
  name: canary
  labels:
    tier: canary
spec:
  kubeconfigSecretRef:
    name: canary
  prometheus:
    url: ${PROMETHEUS}/canary
---
apiVersion: flotilla.dev/v1alpha1
kind: Cluster
metadata:
  name: region-a
  labels:
    region: a
spec:
  kubeconfigSecretRef:
    name: region-a
  prometheus:
    url: ${PROMETHEUS}/region-a
---
apiVersion: flotilla.dev/v1alpha1
kind: Cluster
metadata:
  name: region-b
  labels:
    region: b
spec:
  kubeconfigSecretRef:
    name: region-b
  prometheus:
    url: ${PROMETHEUS}/region-b
)yaml";

const char* const kApplication =
    R"yaml(# What the demo delivers: the directory deploy of one repository, to every cluster, the canary first,
# judged by its error ratio. The demo fills in ${GIT}. The times are short, so that it takes seconds.
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: flotilla.dev/v1alpha1
kind: DeliveryPolicy
metadata:
  name: shop
spec:
  applicationNamespaces: [shop]
  repositories: ["${GIT}/*"]
  namespaces: [shop]
  controllerIdentity: true
---
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata:
  name: shop
  namespace: shop
spec:
  url: ${GIT}/shop.git
  ref:
    branch: main
  interval: 5s
---
apiVersion: flotilla.dev/v1alpha1
kind: RolloutPlan
metadata:
  name: staged
  namespace: shop
spec:
  stages:
  - name: canary
    clusterSelector:
      matchLabels:
        tier: canary
    hot: 4s
    bake: 2s
  - name: region-a
    clusterSelector:
      matchLabels:
        region: a
    hot: 2s
    bake: 0s
  # An empty selector takes all clusters that are left.
  - name: rest
    clusterSelector: {}
    hot: 2s
    bake: 0s
---
# Less than five percent of the requests may fail. One fresh sample that is worse is a breach.
apiVersion: flotilla.dev/v1alpha1
kind: ServiceLevelObjective
metadata:
  name: errors
  namespace: shop
spec:
  scrapeInterval: 1s
  objectives:
  - name: error-ratio
    query: http_error_ratio
    op: "<"
    value: 0.05
---
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: shop
spec:
  sources:
  - repositoryRef:
      name: shop
    path: deploy
  targetNamespace: shop
  createNamespace: true
  placement:
    clusterSelector: {}
  planRef:
    name: staged
  sloRefs:
  - name: errors
)yaml";

const char* const kShop =
    R"yaml(# The application in the demo's repository. No container runs in the demo: the metrics source of each
# cluster reports the ERROR_RATIO that the Deployment there says, as soon as its pods are ready.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: registry.example.com/shop/web:1.0
        envFrom:
        - configMapRef:
            name: web
        env:
        - name: ERROR_RATIO
          value: "0.002"
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
data:
  CHECKOUT: classic
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 8080
)yaml";

}  // namespace flotilla::surface::demo
