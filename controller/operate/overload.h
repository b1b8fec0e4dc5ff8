// A visitor made of lambdas: std::visit(Overload{[](const A&) ..., [](const B&) ...}, variant).
#pragma once

namespace flotilla::operate {

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

}  // namespace flotilla::operate
