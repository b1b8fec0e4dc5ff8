#include "api/repository.h"

#include "api/fields.h"

namespace flotilla::api {

static void Describe(Fields& f, GitReference& ref) {
  f.Optional("branch", ref.branch, "Follows a branch.");
  f.Optional("tag", ref.tag, "Follows a tag.");
  f.Optional("semver", ref.semver, "Follows the highest tag in this range, such as ~1.4 or >=2.");
  f.Optional("commit", ref.commit, "Stays at one commit.", {.format = &kCommitId});
  const int set =
      !ref.branch.empty() + !ref.tag.empty() + !ref.semver.empty() + !ref.commit.empty();
  f.Rule(
      "(has(self.branch) ? 1 : 0) + (has(self.tag) ? 1 : 0) + (has(self.semver) ? 1 : 0) + "
      "(has(self.commit) ? 1 : 0) <= 1",
      "at most one of branch, tag, semver and commit may be set", set <= 1);
}

static void Describe(Fields& f, RepositorySpec& spec) {
  f.Required("url", spec.url,
             "https://host/path, ssh://user@host/path or user@host:path, without credentials.",
             {.format = &kGitUrl});
  f.Optional("ref", spec.ref, "What to follow; the remote's HEAD where it is empty.");
  f.Optional("interval", spec.interval, "How often the remote is asked, besides webhooks.",
             {.shortest = 1s, .longest = 24h});
  f.Optional("timeout", spec.timeout, "Deadline of one fetch.", {.shortest = 1s, .longest = 1h});
  f.Reference("secretRef", spec.secret_name,
              "Secret in the same namespace: username and password, or token, or identity and "
              "known_hosts; ca.crt for a private CA.");
  f.Optional("allowNonFastForward", spec.allow_non_fast_forward,
             "Follow a branch whose history was rewritten. Otherwise deliveries hold.");
  f.Optional("suspended", spec.suspended, "Not asked while true; what is fetched stays in use.");
}

static void Describe(Fields& f, RepositoryStatus& status) {
  f.Optional("observedGeneration", status.observed_generation, "The generation last acted on.");
  f.Optional("conditions", status.conditions, "Ready, Reconciling and Stalled.", {.key = "type"});
  f.Optional("commit", status.commit, "The commit that the reference meant at lastFetchedTime.");
  f.Optional("revision", status.revision, "The same for people: main@sha1:<commit>.");
  f.Optional("lastFetchedTime", status.last_fetched,
             "When the commit was last confirmed or moved.");
  f.Optional("lastHandledReconcile", status.last_handled_reconcile,
             "The value of flotilla.dev/reconcile-requested-at that was last answered.");
}

void Describe(Fields& f, Repository& repository) {
  f.Kind(kRepositoryKind, "A Git repository that applications are delivered from.");
  f.Column("URL", "string", ".spec.url", "");
  f.Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", "");
  f.Column("Revision", "string", ".status.revision", "");
  f.Column("Message", "string", ".status.conditions[?(@.type=='Ready')].message", "", 1);
  f.Column("Age", "date", ".metadata.creationTimestamp", "");
  f.Spec(repository.spec, "Where the repository is and what is followed.");
  f.Status(repository.status, "What was last fetched.");
}

Result<Repository> ParseRepository(value::Ref object) { return ParseObject<Repository>(object); }
value::Value ToValue(const Repository& repository) { return PrintObject(repository); }

}  // namespace flotilla::api
