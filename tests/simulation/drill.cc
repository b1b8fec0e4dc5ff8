#include "drill.h"

#include <fmt/format.h>

#include "kube/apply_set.h"

namespace flotilla::sim {
namespace {

constexpr const char* kNamespace = "team";
constexpr const char* kTarget = "shop";
constexpr const char* kOurUser = "system:serviceaccount:flotilla-system:flotilla";
constexpr Duration kArrival = 10min;

std::string ImageOf(value::Ref deployment) {
  return deployment.At("spec", "template", "spec", "containers")[size_t{0}]["image"].Text();
}

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

const char* ToString(FaultKind kind) {
  constexpr const char* kNames[] = {"crash",     "standby",   "lost",     "late",    "overload",
                                    "watch-cut", "black-hole", "hub-away", "metrics", "git-away"};
  static_assert(std::size(kNames) == static_cast<size_t>(FaultKind::kCount));
  return kNames[static_cast<size_t>(kind)];
}

FaultKinds AllFaults() {
  FaultKinds kinds;
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i) {
    kinds.insert(static_cast<FaultKind>(i));
  }
  return kinds;
}

Drill::Drill(uint64_t seed, const FaultKinds& kinds, LogSink log) : seed_(seed), random_(seed) {
  for (FaultKind kind : kinds) {
    if (Chance(40)) kinds_.insert(kind);
  }
  WorldOptions options;
  options.seed = seed;
  options.log = std::move(log);
  options.members = {{"canary", {{"tier", "canary"}}}};
  const size_t others = 2 + Draw(4);
  for (size_t i = 0; i < others; ++i) {
    const std::string region = i % 2 == 0 ? "a" : "b";
    later_.push_back(fmt::format("region-{}-{}", region, i));
    options.members[later_.back()] = {{"region", region}};
  }
  world_ = std::make_unique<World>(std::move(options));
  std::string line = fmt::format("seed {}: {} members;", seed_, later_.size() + 1);
  for (FaultKind kind : kinds_) line += fmt::format(" {}", ToString(kind));
  Note(std::move(line));
  Build();
}

Drill::~Drill() = default;

Duration Drill::Between(Duration least, Duration most) {
  return least + Duration(static_cast<int64_t>(Draw(static_cast<size_t>((most - least).count()))));
}

void Drill::Note(std::string text) {
  const double seconds = std::chrono::duration<double>(world_->runtime().Now().time_since_epoch()).count();
  journal_.push_back(fmt::format("{:9.3f} {}", seconds, text));
}

void Drill::Broken(std::string promise) {
  Note("BROKEN " + promise);
  if (broken_.empty()) broken_ = std::move(promise);
}

std::string Drill::Journal() const {
  std::string text;
  for (const std::string& line : journal_) text += line + "\n";
  return text;
}

// --- the world ---

void Drill::Build() {
  world_->Create(fmt::format(R"(
apiVersion: v1
kind: Namespace
metadata: {{name: team}}
---
apiVersion: flotilla.dev/v1alpha1
kind: Repository
metadata: {{name: shop, namespace: team}}
spec: {{url: "{}", ref: {{branch: main}}, interval: 2s}}
---
apiVersion: flotilla.dev/v1alpha1
kind: RolloutPlan
metadata: {{name: staged, namespace: team}}
spec:
  stages:
  - {{name: canary, clusterSelector: {{matchLabels: {{tier: canary}}}}, hot: 3s, bake: {}s, deadline: 15m}}
  - {{name: region-a, clusterSelector: {{matchLabels: {{region: a}}}}, hot: 2s, bake: 0s, deadline: 15m, offlinePolicy: {}}}
  - {{name: rest, clusterSelector: {{}}, hot: 1s, bake: 0s, deadline: 15m, offlinePolicy: {}}}
---
apiVersion: flotilla.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {{name: errors, namespace: team}}
spec:
  scrapeInterval: 1s
  objectives:
  - {{name: error-ratio, query: error_ratio, op: "<", value: 0.05}}
---
apiVersion: flotilla.dev/v1alpha1
kind: Application
metadata: {{name: shop, namespace: team}}
spec:
  sources: [{{repositoryRef: {{name: shop}}, path: deploy}}]
  targetNamespace: shop
  createNamespace: true
  placement: {{clusterSelector: {{}}}}
  planRef: {{name: staged}}
  sloRefs: [{{name: errors}}]
  rollback: {{maxPerDay: 10}}
)",
                             World::kRepository, Draw(4), Chance(50) ? "Skip" : "Wait",
                             Chance(50) ? "Skip" : "Wait"));
  for (const std::string& name : world_->member_names()) WatchMember(name);
  WatchHub();
  controllers_.push_back("controller-0");
  if (kinds_.count(FaultKind::kStandby)) controllers_.push_back("controller-1");
}

void Drill::WatchMember(const std::string& name) {
  world_->member(name).OnAudit(
      [this, name](const AuditRecord& record) { OnMemberWrite(name, record); });
}

void Drill::WatchHub() {
  world_->hub().OnAudit([this](const AuditRecord& record) { OnHubWrite(record); });
}

void Drill::OnMemberWrite(const std::string& name, const AuditRecord& record) {
  if (record.user.name != kOurUser) return;
  const RequestInfo& request = record.request;
  const bool parent = request.namespace_name == kube::kParentNamespace;
  if (parent && !record.before.IsAbsent() && !record.after.IsAbsent()) {
    const auto before = kube::DecodeHead(record.before);
    const auto after = kube::DecodeHead(record.after);
    if (before && after && after->parent.fence < before->parent.fence) {
      Broken(fmt::format("{}: the fence went back from {} to {}", name, before->parent.fence,
                         after->parent.fence));
    }
  }
  if (parent) {
    if (auto head = record.after.IsAbsent() ? Fail(ErrorClass::kNotFound, "") : kube::DecodeHead(record.after)) {
      held_[name] = head->parent.target_digest;
      Note(fmt::format("{}: parent {} {} {}", name, head->parent.fence, head->parent.phase,
                       head->parent.target_digest.substr(0, 15)));
    }
    return;
  }
  if (record.after.IsAbsent()) {
    Note(fmt::format("{}: delete {} {}", name, request.resource, record.name));
    if (!may_go_.count(record.name)) {
      Broken(fmt::format("{}: {} {} was deleted, which every commit holds", name, request.resource,
                         record.name));
    }
    const value::Value newest = world_->NewestRollout("shop");
    const std::string phase = newest.At("status", "phase").Text();
    if (newest.At("spec", "release", "releaseDigest").String() == held_[name] &&
        (phase == "Progressing" || phase == "Baking")) {
      Broken(fmt::format("{}: {} was deleted before the bake of its release was over", name, record.name));
    }
    return;
  }
  std::string text;
  if (request.resource == "deployments") text = ImageOf(record.after);
  if (request.resource == "configmaps") text = record.after.ref().At("data", "image").Text();
  Note(fmt::format("{}: {} {} {} {} (fence {})", name, request.verb, request.resource, record.name, text,
                   kube::AnnotationOf(record.after, kube::kFenceAnnotation)));
  if (Contains(text, "invalid")) {
    Broken(fmt::format("{}: {} {} of a rejected release was written", name, request.resource, record.name));
  }
  if (name != "canary" && Contains(text, "bad")) {
    Broken(fmt::format("{}: {} {} of a release that breaches in the canary was written", name,
                       request.resource, record.name));
  }
}

void Drill::OnHubWrite(const AuditRecord& record) {
  const RequestInfo& request = record.request;
  if (request.resource == "rollouts" || request.resource == "rollbacks") {
    const value::Ref after = record.after.ref();
    Note(fmt::format("hub: {} {} {} {} {}", request.verb, request.resource, record.name,
                     after.At("status", "phase").Text(), after.At("status", "message").Text()));
    succeeded_ |= after.At("status", "phase").String() == "Succeeded";
    if (request.resource == "rollbacks" && request.verb == "create") {
      const std::string cause = after.At("spec", "cause").Text();
      if (cause != "Breach") Broken(fmt::format("{} has cause {}: {}", record.name, cause, after.At("spec", "reason").Text()));
      if (!left_.insert(after.At("spec", "from", "releaseDigest").Text()).second) {
        Broken(fmt::format("{} leaves a release that was left before", record.name));
      }
    }
  }
}

// --- what happens ---

void Drill::Make(const Commit& commit) {
  Files files;
  if (commit.kind != Commit::Kind::kEmpty) {
    std::string text = fmt::format(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: web, image: "{0}"}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{image: "{0}"}}
)",
                                   commit.image);
    if (commit.extra) text += "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}\n";
    if (commit.kind == Commit::Kind::kBad) {
      text += "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: added}, data: {image: bad}}\n";
    }
    if (commit.kind == Commit::Kind::kInvalid) {
      text += "---\n{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 99999}]}}\n";
    }
    files["deploy/web.yaml"] = std::move(text);
  } else {
    files["README"] = "moved elsewhere";
  }
  if (commit.kind == Commit::Kind::kGood && !commit.extra) may_go_.insert("extra");
  if (commit.kind == Commit::Kind::kBad) may_go_.insert("added"), may_go_.insert("extra");
  world_->Commit(std::move(files));
  Note("commit " + (commit.image.empty() ? "nothing" : commit.image) + (commit.extra ? " and extra" : ""));
}

void Drill::At(Duration from_now, std::function<void()> what) {
  due_.emplace(world_->runtime().Now() + from_now, std::move(what));
}

void Drill::SetLinks() {
  for (const std::string& name : world_->member_names()) {
    Link link = link_;
    link.black_hole = silent_.count(name) > 0;
    world_->network().SetLink("", World::OriginOf(name), link);
    Link metrics;
    metrics.black_hole = link.black_hole;
    world_->network().SetLink("", fmt::format("http://metrics-{}:9090", name), metrics);
  }
  Link hub = link_;
  hub.delay = 0;  // a hub write is conditional on resourceVersion or on its name
  hub.refuse = hub_away_;
  world_->network().SetLink("", World::OriginOf("hub"), hub);
}

void Drill::Break(FaultKind kind) {
  if (ended_) return;
  auto for_a_while = [&](Duration most, std::function<void()> end) { At(Between(1s, most), std::move(end)); };
  switch (kind) {
    case FaultKind::kCrash: {
      const std::string name = controllers_[Draw(controllers_.size())];
      Note("crash " + name);
      world_->CrashController(name);
      break;  // Supervise starts it again
    }
    case FaultKind::kLost:
      link_.drop_request = 0.03;
      link_.drop_reply = 0.03;
      link_.reset_reply = 0.03;
      link_.duplicate = 0.02;
      Note("the network loses requests");
      for_a_while(30s, [this] {
        link_.drop_request = link_.drop_reply = link_.reset_reply = link_.duplicate = 0;
        SetLinks();
      });
      break;
    case FaultKind::kLate:
      link_.delay = 0.1;
      link_.delay_max = Between(1s, 60s);
      Note("the network delays requests");
      for_a_while(30s, [this] {
        link_.delay = 0;
        SetLinks();
      });
      break;
    case FaultKind::kOverload:
      link_.throttle = 0.1;
      link_.fail = 0.1;
      Note("servers are overloaded");
      for_a_while(20s, [this] {
        link_.throttle = link_.fail = 0;
        SetLinks();
      });
      break;
    case FaultKind::kWatchCut: {
      Note("watches are cut");
      std::vector<ApiServer*> servers{&world_->hub()};
      for (const std::string& name : world_->member_names()) servers.push_back(&world_->member(name));
      for (ApiServer* server : servers) {
        if (Chance(50)) server->CompactHistory();
        if (Chance(70)) server->DropWatches();
      }
      if (Chance(50)) world_->network().CutStreams("", "");
      break;
    }
    case FaultKind::kBlackHole: {
      const auto names = world_->member_names();
      const std::string name = names[Draw(names.size())];
      silent_.insert(name);
      Note(name + " falls silent");
      for_a_while(40s, [this, name] {
        silent_.erase(name);
        SetLinks();
        Note(name + " returns");
      });
      break;
    }
    case FaultKind::kHubAway:
      hub_away_ = true;
      Note("the hub is away");
      for_a_while(20s, [this] {
        hub_away_ = false;
        SetLinks();
        Note("the hub is back");
      });
      break;
    case FaultKind::kMetrics: {
      const auto names = world_->member_names();
      const std::string name = Chance(50) ? "canary" : names[Draw(names.size())];
      const auto fault = static_cast<MetricsSource::Fault>(1 + Draw(4));
      Note(fmt::format("metrics of {} fail in way {}", name, static_cast<int>(fault)));
      world_->metrics(name).SetFault(fault);
      for_a_while(20s, [this, name] {
        world_->metrics(name).SetFault(MetricsSource::Fault::kNone);
        Note("metrics of " + name + " are back");
      });
      break;
    }
    case FaultKind::kGitAway:
      world_->git().SetReachable(false);
      Note("git is away");
      for_a_while(15s, [this] { world_->git().SetReachable(true); });
      break;
    case FaultKind::kStandby:
    case FaultKind::kCount:
      break;
  }
  SetLinks();
}

void Drill::EndFaults() {
  Note("faults end");
  due_.clear();
  link_ = Link{};
  silent_.clear();
  hub_away_ = false;
  world_->git().SetReachable(true);
  for (const std::string& name : world_->member_names()) {
    world_->metrics(name).SetFault(MetricsSource::Fault::kNone);
  }
  SetLinks();
}

void Drill::Supervise() {
  for (const std::string& name : controllers_) {
    if (world_->Running(name)) continue;
    Note("start " + name);
    world_->StartController(name);
  }
}

void Drill::Play(Duration duration) {
  PlayUntil([] { return false; }, duration);
}

bool Drill::PlayUntil(const std::function<bool()>& done, Duration limit) {
  FiberRuntime& runtime = world_->runtime();
  const TimePoint end = runtime.Now() + limit;
  while (broken_.empty() && !done()) {
    if (runtime.Now() >= end) return false;
    while (!due_.empty() && due_.begin()->first <= runtime.Now()) {
      const auto what = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      what();
    }
    TimePoint next = std::min(end, runtime.Now() + 1s);
    if (!due_.empty()) next = std::min(next, due_.begin()->first);
    runtime.RunFor(next - runtime.Now());
    if (Chance(50)) Supervise();  // a process needs a moment to start
  }
  return broken_.empty();
}

// --- where it should end ---

std::string Drill::Settled() const {
  const std::string phase = world_->RolloutPhase("shop");
  if (phase != "Succeeded" && phase != "RolledBack" && phase != "Rejected") {
    return "the newest rollout is " + (phase.empty() ? "absent" : phase);
  }
  for (const value::Value& rollback : world_->hub().List("rollbacks.flotilla.dev")) {
    const std::string state = rollback.At("status", "phase").Text();
    if (state != "Succeeded") return fmt::format("{} is {}", kube::NameOf(rollback), state);
  }
  std::set<std::string> images;
  for (const std::string& name : world_->member_names()) {
    const ApiServer& member = world_->member(name);
    images.insert(ImageOf(member.Get("deployments.apps", kTarget, "web")));
    images.insert(member.Get("configmaps", kTarget, "settings").At("data", "image").Text());
    if (!member.Get("configmaps", kTarget, "added").IsAbsent()) return name + " holds an object of a bad release";
  }
  if (images.size() != 1) return fmt::format("members differ: {}", fmt::join(images, ", "));
  if (Contains(*images.begin(), "bad")) return "the bad release runs";
  return {};
}

std::string Drill::Arrived(const Commit& commit) const {
  if (std::string why = Settled(); !why.empty()) return why;
  for (const std::string& name : world_->member_names()) {
    const ApiServer& member = world_->member(name);
    const std::string image = ImageOf(member.Get("deployments.apps", kTarget, "web"));
    if (image != commit.image) return fmt::format("{} runs {}, not {}", name, image, commit.image);
    const bool extra = !member.Get("configmaps", kTarget, "extra").IsAbsent();
    if (extra != commit.extra) return fmt::format("{} {} the extra object", name, extra ? "still has" : "lacks");
  }
  return {};
}

// An application that nobody touches costs nothing: what is sent are probes, and watches that begin
// again because their time was over.
std::string Drill::CheckIdle() {
  std::map<std::string, std::map<std::string, uint64_t>> before;
  for (const std::string& name : world_->member_names()) {
    before[name] = world_->member(name).counters().by_verb;
  }
  world_->network().ResetCounts();
  Play(30s);
  for (const std::string& name : world_->member_names()) {
    const uint64_t probes = world_->network().CountExecuted(World::OriginOf(name), http::Method::kGet,
                                                            "/api/v1/namespaces/kube-system");
    for (const auto& [verb, count] : world_->member(name).counters().by_verb) {
      const uint64_t expected = before[name][verb] + (verb == "get" ? probes : 0);
      if (verb != "watch" && count != expected) {
        return fmt::format("{} was sent {} requests ({}) without cause", name, count - expected, verb);
      }
    }
  }
  return {};
}

std::string Drill::Run() {
  using Kind = Commit::Kind;
  std::vector<Commit> script;
  const size_t between = 1 + Draw(3);
  script.push_back({Kind::kGood, "web:good-1", Chance(50)});
  for (size_t i = 0; i < between; ++i) {
    const size_t number = script.size() + 1;
    const size_t die = Draw(10);
    if (die < 5) {
      script.push_back({Kind::kBad, fmt::format("web:bad-{}", number), false});
    } else if (die < 7) {
      script.push_back({Kind::kInvalid, fmt::format("web:invalid-{}", number), false});
    } else if (die < 8) {
      script.push_back({Kind::kEmpty, "", false});
    } else {
      script.push_back({Kind::kGood, fmt::format("web:good-{}", number), Chance(50)});
    }
  }
  script.push_back({Kind::kGood, fmt::format("web:good-{}", script.size() + 1), Chance(50)});

  std::vector<FaultKind> kinds(kinds_.begin(), kinds_.end());
  Supervise();
  for (size_t i = 0; i < script.size() && broken_.empty(); ++i) {
    Make(script[i]);
    const bool patient = Chance(60);
    const Duration pause = patient ? Between(20s, 60s) : Between(1s, 20s);
    for (FaultKind kind : kinds) {
      if (Chance(70)) At(Between(0s, pause), [this, kind] { Break(kind); });
    }
    Play(pause);
    if (i + 1 == script.size()) ended_ = true;
    const bool first = i == 0;
    if (i + 1 < script.size() && !first && patient && Chance(50)) {
      // Nothing of a bad release may be left, and it may not come back.
      EndFaults();
      if (!succeeded_) continue;  // a first release that is bad has nothing to go back to
      if (!PlayUntil([this] { return Settled().empty(); }, kArrival)) {
        return broken_.empty() ? "not settled: " + Settled() : broken_;
      }
      Play(15s);
      if (std::string why = Settled(); !why.empty()) return broken_.empty() ? "came undone: " + why : broken_;
      Note("settled");
    }
  }
  EndFaults();
  const Commit& last = script.back();
  if (!PlayUntil([&] { return Arrived(last).empty(); }, kArrival)) {
    return broken_.empty() ? "not arrived: " + Arrived(last) : broken_;
  }
  Note("arrived");
  Play(90s);  // the last late writes, and watches that are behind
  if (std::string why = Arrived(last); !why.empty()) return broken_.empty() ? "came undone: " + why : broken_;
  const std::string idle = CheckIdle();
  return broken_.empty() ? idle : broken_;
}

}  // namespace flotilla::sim
