// The CustomResourceDefinitions of our kinds, made from the descriptions of their fields. The files
// of crds/ are kept equal to them by a test.
#pragma once

#include <string>
#include <vector>

#include "value/value.h"

namespace flotilla::api {

struct Crd {
  std::string name;  // "applications.flotilla.dev"
  value::Value object;
};

// Sorted by name.
std::vector<Crd> AllCrds();

}  // namespace flotilla::api
