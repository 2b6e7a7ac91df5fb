#pragma once

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <string>
#include <string_view>

#include "codec/json_text.hpp"
#include "shumai/error.hpp"

namespace sm::codec {

// Adapts a sink with few, throwing members to the many events of Boost's parser:
//   open_object(), close_object(), open_array(), close_array(), key(string_view),
//   string(string_view), integer(int64_t, token), number(token), boolean(bool), null().
// Views are valid during the call. A token is the number's text.
template <class Sink>
class JsonHandler {
 public:
  static constexpr size_t max_array_size = -1;
  static constexpr size_t max_object_size = -1;
  static constexpr size_t max_string_size = -1;
  static constexpr size_t max_key_size = -1;

  explicit JsonHandler(Sink& sink) : sink_(sink) {}

  using Code = boost::json::error_code;
  using View = boost::json::string_view;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return sink_.open_object(), true; }
  bool on_object_end(size_t, Code&) { return sink_.close_object(), true; }
  bool on_array_begin(Code&) { return sink_.open_array(), true; }
  bool on_array_end(size_t, Code&) { return sink_.close_array(), true; }
  bool on_key_part(View part, size_t, Code&) { return text_.append(part.data(), part.size()), true; }
  bool on_key(View part, size_t, Code&) {
    sink_.key(finish(part));
    return text_.clear(), true;
  }
  bool on_string_part(View part, size_t, Code&) { return text_.append(part.data(), part.size()), true; }
  bool on_string(View part, size_t, Code&) {
    sink_.string(finish(part));
    return text_.clear(), true;
  }
  bool on_number_part(View, Code&) { return true; }
  bool on_int64(int64_t value, View token, Code&) {
    // The integer has lost the sign of -0.
    if (value == 0 && token[0] == '-')
      sink_.number({token.data(), token.size()});
    else
      sink_.integer(value, {token.data(), token.size()});
    return true;
  }
  bool on_uint64(uint64_t, View token, Code&) { return sink_.number({token.data(), token.size()}), true; }
  bool on_double(double, View token, Code&) { return sink_.number({token.data(), token.size()}), true; }
  bool on_bool(bool value, Code&) { return sink_.boolean(value), true; }
  bool on_null(Code&) { return sink_.null(), true; }
  bool on_comment_part(View, Code&) { return true; }
  bool on_comment(View, Code&) { return true; }

 private:
  std::string_view finish(View last) {
    if (text_.empty()) return {last.data(), last.size()};
    text_.append(last.data(), last.size());
    return text_;
  }

  Sink& sink_;
  std::string text_;
};

[[noreturn]] void throw_json_error(std::string_view text, size_t position, const boost::json::error_code& code,
                                   int max_depth);

// Feeds all of `text` to `sink`. Throws Error (kProtocol) for anything but one
// JSON document, kTooLarge when it nests deeper than `max_depth`.
template <class Sink>
void read_json(std::string_view text, int max_depth, Sink& sink) {
  boost::json::parse_options options;
  options.max_depth = static_cast<size_t>(max_depth);
  boost::json::basic_parser<JsonHandler<Sink>> parser(options, sink);
  boost::json::error_code code;
  const size_t used = parser.write_some(false, text.data(), text.size(), code);
  const size_t rest = std::min(text.find_first_not_of(" \t\r\n", used), text.size());
  if (!code && rest < text.size()) code = boost::json::error::extra_data;
  if (code) throw_json_error(text, code == boost::json::error::extra_data ? rest : used, code, max_depth);
}

}  // namespace sm::codec
