// The rules of the source tree (design §7), as a function from one file to what is wrong with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flotilla::layout {

// The floors of controller/, bottom up, as its CMakeLists.txt declares them.
std::vector<std::string> FloorsOf(std::string_view cmake_lists);

// What the file at `path` (relative to controller/) breaks, one line each: "path:line: rule".
std::vector<std::string> Violations(const std::vector<std::string>& floors, std::string_view path,
                                    std::string_view text);

// The text with comments, and the insides of string and character literals, as blanks. Lines stay.
std::string WithoutCommentsAndLiterals(std::string_view text);

}  // namespace flotilla::layout
