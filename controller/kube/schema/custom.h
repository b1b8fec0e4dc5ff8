// The structural schema of one version of a CustomResourceDefinition (apiextensions.k8s.io/v1):
// what it prunes, fills in and refuses. Rules in CEL (x-kubernetes-validations) are not evaluated
// here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "kube/schema/type.h"
#include "value/value.h"

namespace flotilla::kube::schema {

struct Violation {
  enum class Kind : uint8_t {
    kRequired,
    kType,
    kInvalid,
    kNotSupported,
    kTooLong,
    kTooMany,
    kDuplicate,
  } kind;
  std::string path;                    // "spec.replicas"
  std::string message;                 // "must be greater than or equal to 1"
  value::Value value;                  // what was found there
  std::vector<std::string> supported;  // of kNotSupported
  int64_t limit = 0;                   // of kTooLong and kTooMany
};

class CustomSchema {
 public:
  // `open_api_v3_schema` as in spec.versions[].schema.openAPIV3Schema. Fails where it is no
  // structural schema. Immutable, and safe to share between threads.
  static Result<std::shared_ptr<const CustomSchema>> Compile(value::Value open_api_v3_schema);
  // Without a schema, everything is kept.
  static std::shared_ptr<const CustomSchema> KeepAll();
  virtual ~CustomSchema() = default;

  // With metav1.ObjectMeta under "metadata".
  virtual const Type& type() const = 0;
  // Drops fields that are not specified; their paths are appended to `unknown`.
  virtual value::Value Prune(const value::Value& object,
                             std::vector<std::string>* unknown) const = 0;
  // Fills defaults in, and drops nulls where they are not allowed.
  virtual value::Value Default(const value::Value& object) const = 0;
  virtual std::vector<Violation> Validate(value::Ref object) const = 0;
  virtual value::Ref source() const = 0;
};

}  // namespace flotilla::kube::schema
