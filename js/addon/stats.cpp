#include <optional>
#include <string>

#include "instance.hpp"
#include "ops/op.hpp"

namespace sm::js {
namespace {

struct OpenCall {
  TagRef tag;
  std::optional<Stats::Scope> scope;
};
thread_local OpenCall open_call;

using CollectorRef = std::shared_ptr<Collector>;

CollectorRef collector_of(napi_env env, napi_value value) {
  void* data = nullptr;
  if (type_of(env, value) != napi_external) throw Error(ErrorCode::kInvalidArgument, "stats: expected a Stats");
  check(env, napi_get_value_external(env, value, &data));
  return *static_cast<CollectorRef*>(data);
}

napi_value make_stats(const Arguments& arguments) {
  auto owned = std::make_unique<CollectorRef>(std::make_shared<Collector>());
  napi_value out;
  check(arguments.env(),
        napi_create_external(
            arguments.env(), owned.get(), [](napi_env, void* data, void*) { delete static_cast<CollectorRef*>(data); },
            nullptr, &out));
  owned.release();
  return out;
}

// enableStats(collector, whether operations on tensors that carry it count)
napi_value enable_stats(const Arguments& arguments) {
  collector_of(arguments.env(), arguments[0])->enabled = to_boolean(arguments.env(), arguments[1]);
  return undefined(arguments.env());
}

// collect(of this thread, of all threads), either may be undefined.
napi_value collect(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Instance& mine = instance(env);
  mine.stats_here.reset();
  mine.stats_everywhere.reset();
  if (!missing(env, arguments[1]))
    mine.stats_everywhere.emplace(collector_of(env, arguments[1])->stats, Stats::Threads::kAll);
  if (!missing(env, arguments[0])) mine.stats_here.emplace(collector_of(env, arguments[0])->stats);
  return undefined(env);
}

std::string js_name(const std::string& operation) {
  for (const ops::Op* op : ops::table())
    if (op->name == operation) return std::string(op->js.substr(0, op->js.find(' ')));
  return operation;
}

// readStats(collector): [[name, count, nanoseconds, bytes, flops], ...]
napi_value read_stats(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto operations = collector_of(env, arguments[0])->stats.operations();
  const napi_value out = array(env, operations.size());
  uint32_t i = 0;
  for (const auto& [operation, entry] : operations) {
    const napi_value row = array(env, 5);
    set(env, row, 0u, text(env, js_name(operation)));
    set(env, row, 1u, number(env, static_cast<double>(entry.count)));
    set(env, row, 2u, number(env, static_cast<double>(entry.nanoseconds)));
    set(env, row, 3u, number(env, static_cast<double>(entry.bytes)));
    set(env, row, 4u, number(env, entry.flops));
    set(env, out, i++, row);
  }
  return out;
}

// statsPeriod(collector): [begin, end] in milliseconds since 1970, or undefined.
napi_value stats_period(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto period = collector_of(env, arguments[0])->stats.period();
  if (!period) return undefined(env);
  const auto milliseconds = [](std::chrono::system_clock::time_point at) {
    return std::chrono::duration<double, std::milli>(at.time_since_epoch()).count();
  };
  const napi_value out = array(env, 2);
  set(env, out, 0u, number(env, milliseconds(period->begin)));
  set(env, out, 1u, number(env, milliseconds(period->end)));
  return out;
}

napi_value reset_stats(const Arguments& arguments) {
  collector_of(arguments.env(), arguments[0])->stats.reset();
  return undefined(arguments.env());
}

// setStats(handle, collector or undefined, number)
napi_value set_stats(const Arguments& arguments) {
  const napi_env env = arguments.env();
  Instance& mine = instance(env);
  const uint32_t handle = to_handle(env, arguments[0]);
  if (missing(env, arguments[1])) {
    mine.slots.set_tag(handle, nullptr);
    return undefined(env);
  }
  auto tag = std::make_shared<Tag>();
  tag->collector = collector_of(env, arguments[1]);
  tag->number = to_handle(env, arguments[2]);
  tag->dropped = mine.dropped_tags;
  mine.slots.set_tag(handle, std::move(tag));
  return undefined(env);
}

// statsOf(handle): the number that setStats was given, or 0.
napi_value stats_of(const Arguments& arguments) {
  const TagRef tag = instance(arguments.env()).slots.tag_of(to_handle(arguments.env(), arguments[0]));
  return integer(arguments.env(), tag ? tag->number : 0);
}

// droppedStats(): numbers that no tensor carries any more.
napi_value dropped_stats(const Arguments& arguments) {
  const napi_env env = arguments.env();
  const auto dropped = std::exchange(*instance(env).dropped_tags, {});
  const napi_value out = array(env, dropped.size());
  for (uint32_t i = 0; i < dropped.size(); ++i) set(env, out, i, integer(env, dropped[i]));
  return out;
}

}  // namespace

void tag_call(const TagRef& tag) {
  if (TaggedCall::tagged || TaggedCall::depth == 0) return;
  open_call.tag = tag;
  if (tag->collector->enabled) open_call.scope.emplace(tag->collector->stats);
  TaggedCall::tagged = true;
}

const TagRef& tag_of_call() { return open_call.tag; }

void TaggedCall::end() {
  tagged = false;
  open_call.scope.reset();
  open_call.tag.reset();
}

void define_stats(napi_env env, napi_value exports) {
  define<make_stats>(env, exports, "makeStats");
  define<enable_stats>(env, exports, "enableStats");
  define<collect>(env, exports, "collect");
  define<read_stats>(env, exports, "readStats");
  define<stats_period>(env, exports, "statsPeriod");
  define<reset_stats>(env, exports, "resetStats");
  define<set_stats>(env, exports, "setStats");
  define<stats_of>(env, exports, "statsOf");
  define<dropped_stats>(env, exports, "droppedStats");
}

}  // namespace sm::js
