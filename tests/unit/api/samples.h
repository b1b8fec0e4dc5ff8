// The sample objects of tests/unit/api/samples and the files of the repository, as value trees.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "value/value.h"
#include "value/yaml.h"

namespace flotilla::api {

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<value::Value> Documents(std::string_view yaml) {
  auto documents = value::ParseYaml(yaml);
  if (!documents) FAIL(documents.error().ToString());
  std::vector<value::Value> values;
  for (value::Document& document : *documents) values.push_back(std::move(document.value));
  return values;
}

inline value::Value Yaml(std::string_view yaml) {
  auto values = Documents(yaml);
  REQUIRE(values.size() == 1);
  return values[0];
}

inline value::Value Sample(const std::string& name) {
  return Yaml(ReadFile(std::filesystem::path(FLOTILLA_SOURCE_DIR) / "tests/unit/api/samples" /
                       (name + ".yaml")));
}

}  // namespace flotilla::api
