#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sm {

namespace util {
class Progress;
}

namespace detail {

// What a text callback is turned into: called with the number of the step that ended last, from 0.
using ProgressText = std::function<std::string(int64_t step)>;

struct EndProgress {
  void operator()(util::Progress* progress) const noexcept;
};
using ProgressHandle = std::unique_ptr<util::Progress, EndProgress>;

// Begins a bar on standard error; it ends with the handle.
ProgressHandle start_progress(int64_t total, ProgressText text);
void advance(util::Progress& progress);

// The numbers 0 to n - 1 in random order, the same for the same seed.
std::vector<size_t> permutation(size_t n, uint64_t seed);

template <class F>
ProgressText as_text(F callback) {
  if constexpr (std::is_invocable_v<F&, int64_t>)
    return [callback = std::move(callback)](int64_t step) mutable { return std::string(callback(step)); };
  else
    return [callback = std::move(callback)](int64_t) mutable { return std::string(callback()); };
}

// 0 to n - 1 as a range; std::views::iota with libstdc++ 12 doesn't compile in clang 14.
template <class T>
struct Count {
  struct Iterator {
    T at;
    T operator*() const { return at; }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  T n;
  Iterator begin() const { return {T{}}; }
  Iterator end() const { return {n}; }
  size_t size() const { return static_cast<size_t>(n); }
};

template <class R>
concept Sized = requires(R& range) {
  std::begin(range) != std::end(range);
  std::size(range);
};

template <class F>
concept TextCallback = requires(F f) {
  std::string(f());
}
|| requires(F f) { std::string(f(int64_t{})); };

}  // namespace detail

namespace util {

// What viter returns: a range that shows how far it has been walked. For one walk.
template <class Range>
class Viter {
  using Place = decltype(std::begin(std::declval<Range&>()));
  struct End {
    decltype(std::end(std::declval<Range&>())) at;
  };
  class Iterator {
   public:
    Iterator(Place at, Progress& progress) : at_(std::move(at)), progress_(progress) {}
    decltype(auto) operator*() const { return *at_; }
    Iterator& operator++() {
      ++at_;
      detail::advance(progress_);
      return *this;
    }
    bool operator!=(const End& end) const { return at_ != end.at; }

   private:
    Place at_;
    Progress& progress_;
  };

 public:
  Viter(Range&& range, detail::ProgressText text) : range_(std::forward<Range>(range)), text_(std::move(text)) {}

  Iterator begin() {
    progress_ = detail::start_progress(static_cast<int64_t>(std::size(range_)), text_);
    return Iterator(std::begin(range_), *progress_);
  }
  End end() { return End{std::end(range_)}; }

 private:
  Range range_;
  detail::ProgressText text_;
  detail::ProgressHandle progress_;
};

// Walks 0 to n - 1, or a container (an lvalue is referred to, not copied), and
// shows on standard error how far it is: a bar with steps done, rate and time
// left on a terminal, a plain line every few seconds elsewhere.
//
//   for (int step : viter(200)) ...
//   for (auto& batch : viter(batches, [&] { return "loss " + std::to_string(loss); })) ...
//
// `text`, with or without the step's number, gives what is shown beside the
// bar. It is called only when something is drawn, at most ten times a second.
template <std::integral T>
auto viter(T n) {
  return Viter<detail::Count<T>>({n > T{} ? n : T{}}, {});
}
template <std::integral T, detail::TextCallback F>
auto viter(T n, F text) {
  return Viter<detail::Count<T>>({n > T{} ? n : T{}}, detail::as_text(std::move(text)));
}
template <detail::Sized R>
auto viter(R&& range) {
  return Viter<R>(std::forward<R>(range), {});
}
template <detail::Sized R, detail::TextCallback F>
auto viter(R&& range, F text) {
  return Viter<R>(std::forward<R>(range), detail::as_text(std::move(text)));
}

// 0 to stop - 1.
std::vector<int64_t> range(int64_t stop);
// start, start + step, ... before `stop`. Throws Error (kInvalidArgument) for a step of 0.
std::vector<int64_t> range(int64_t start, int64_t stop, int64_t step = 1);

// The values in random order, every order as likely as any other; the same
// order for the same seed, on every machine (Fisher and Yates, from Philox).
template <class T>
std::vector<T> shuffle(std::vector<T> values, uint64_t seed) {
  std::vector<T> out;
  out.reserve(values.size());
  for (size_t from : detail::permutation(values.size(), seed)) out.push_back(std::move(values[from]));
  return out;
}

}  // namespace util
}  // namespace sm
