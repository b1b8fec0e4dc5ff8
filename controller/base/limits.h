// Every limit on what comes from outside, in one place. A limit that is reached is an error that
// names it; nothing is cut off silently.
#pragma once

#include <cstddef>

namespace flotilla::limits {

// value/: documents
inline constexpr size_t kDocumentBytes = 16u << 20;  // one JSON or YAML input
inline constexpr size_t kDocumentDepth = 100;        // nesting of maps and lists
inline constexpr size_t kDocumentNodes = 2'000'000;  // after expansion of aliases
inline constexpr size_t kAliasExpansion = 100'000;   // nodes that aliases may add to one input
inline constexpr size_t kKeyBytes = 1024;            // one key of a map

// base/
inline constexpr size_t kProcessOutputBytes = 64u << 20;  // standard output of a child
inline constexpr size_t kProcessErrorBytes = 64u << 10;   // standard error of a child
inline constexpr size_t kLogTextBytes = 16u << 10;        // one value in a log line
inline constexpr size_t kDiskFileBytes = 64u << 20;       // one file that the controller keeps

// http/
inline constexpr size_t kResponseBytes = 64u << 20;   // decoded body of a buffered answer
inline constexpr size_t kHeaderBytes = 64u << 10;     // all header lines of one answer or request
inline constexpr size_t kWatchLineBytes = 16u << 20;  // one watch event
inline constexpr size_t kServerBodyBytes = 8u << 20;
inline constexpr size_t kServerConnections = 1024;

// git/
inline constexpr size_t kGitPackBytes = 1u << 30;      // one download
inline constexpr size_t kGitPackObjects = 10'000'000;  // in one download
inline constexpr size_t kGitObjectBytes = 128u << 20;  // one object, unpacked
inline constexpr size_t kGitPushBytes = 64u << 20;     // one pack that we send
inline constexpr size_t kGitRefs = 1'000'000;          // that one remote may announce
inline constexpr size_t kGitTreeEntries = 100'000;     // of one directory
inline constexpr size_t kGitPacks = 20;                // in one mirror, then it is cloned anew
inline constexpr size_t kGitLogCommits = 1'000;        // of one Log
inline constexpr size_t kGitWindowBytes = 32u << 20;   // mapped at once of one pack
inline constexpr size_t kGitMappedBytes = 256u << 20;  // mapped of all packs
inline constexpr size_t kGitCacheBytes = 16u << 20;    // parsed objects of all repositories
inline constexpr size_t kGitReadAhead = 1u << 20;      // received and not yet indexed

// render/
inline constexpr size_t kSourceFileBytes = 8u << 20;
inline constexpr size_t kSourceFiles = 20'000;
inline constexpr size_t kSourceBytes = 64u << 20;  // of all manifests of one application
inline constexpr size_t kSourceDepth = 64;
inline constexpr size_t kObjectsPerApplication = 20'000;

// kube/
inline constexpr size_t kObjectBytes = 1536u << 10;  // etcd's request limit
inline constexpr size_t kListPage = 500;
inline constexpr size_t kWindowQueue = 100'000;     // requests that wait for one cluster
inline constexpr size_t kWatchBuffer = 1u << 20;    // unparsed bytes of one watch, then it pauses
inline constexpr size_t kStatusBytes = 256u << 10;  // of an error's body that is looked at
inline constexpr size_t kStatusCauses = 100;
inline constexpr size_t kApiResources = 20'000;  // that one server may announce
inline constexpr size_t kInventoryChunkBytes = 900u << 10;
inline constexpr size_t kInventoryChunks = 64;
inline constexpr size_t kInventoryBytes = 32u << 20;      // decompressed
inline constexpr size_t kCredentialFileBytes = 1u << 20;  // a token, certificate or kubeconfig
inline constexpr size_t kExecOutputBytes = 1u << 20;      // of a credential plugin

// operate/: snapshots of releases
inline constexpr size_t kSnapshotChunkBytes = 512u << 10;     // one Secret of the hub
inline constexpr size_t kSnapshotBudgetBytes = 256u << 20;    // all of them
inline constexpr size_t kSnapshotVariantBytes = 256u << 20;   // one variant, decompressed
inline constexpr size_t kSnapshotMemoryBytes = 32u << 20;     // kept at hand, as JSON

}  // namespace flotilla::limits
