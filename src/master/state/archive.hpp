#pragma once

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "json/fields.hpp"
#include "master/state/values.hpp"

// Turns plain values into JSON and back. A type lists its members once, in a function template
//
//   template <class Archive> void describe(Archive& a, Point& point) { a("x", point.x)("y", point.y); }
//
// or in a member function template `describe(Archive&)`. A member that the document lacks keeps its value,
// and a member that no description names is skipped, so that neighbouring versions read each other's
// documents.
namespace liveswap::master::state {

using json::Json;

template <class T>
concept Optional = requires(T& t) {
  t.has_value();
  t.reset();
};
template <class T>
concept Duration = requires(T& t) {
  typename T::period;
};
template <class T>
concept Pair = requires(T& t) {
  t.first;
  t.second;
};
template <class T>
concept Map = requires(T& t) {
  typename T::mapped_type;
};
template <class T>
concept Range = requires(T& t) {
  typename T::value_type;
  t.begin();
};
template <class T, class Archive>
concept Member = requires(T& t, Archive& archive) {
  t.describe(archive);
};

// JSON is UTF-8, and paths and outputs may be any bytes: such a text is written as {"hex": "…"}.
void put_text(const std::string& text, std::string& into);
std::string get_text(const Json& found);

// Appends the document to a text, without a tree of values between: this is done at each change of the state,
// and for each worker.
class Writer {
 public:
  // `fds` gets the descriptors that the value names.
  Writer(std::string& into, std::vector<int>& fds) : into_(into), fds_(fds) {}
  template <class T>
  Writer& operator()(const char* name, T& value) {
    into_ += is_first_ ? "{\"" : ",\"";
    is_first_ = false;
    into_ += name;
    into_ += "\":";
    put(value);
    return *this;
  }
  template <class T>
  void put(T& value) {
    using Type = std::remove_const_t<T>;
    if constexpr (std::is_enum_v<Type>) put_number(static_cast<std::int64_t>(value));
    else if constexpr (std::is_same_v<Type, bool>) into_ += value ? "true" : "false";
    else if constexpr (std::is_integral_v<Type>) put_number(value);
    else if constexpr (std::is_same_v<Type, std::string>) put_text(value, into_);
    else if constexpr (std::is_same_v<Type, Fd>) put_fd(value.number);
    else if constexpr (Optional<Type>) {
      if (value) put(*value);
      else into_ += "null";
    } else if constexpr (Duration<Type>) put_number(value.count());
    else if constexpr (Range<Type>) put_all(value);
    else if constexpr (Pair<Type>) {
      into_ += '[';
      put(value.first);
      into_ += ',';
      put(value.second);
      into_ += ']';
    } else {
      Writer inner(into_, fds_);
      describe_any(inner, const_cast<Type&>(value));
      into_ += inner.is_first_ ? "{}" : "}";
    }
  }

 private:
  template <class T>
  void put_number(T value) {
    char digits[24];
    into_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  void put_fd(int number) {
    if (number >= 0) fds_.push_back(number);
    put_number(number);
  }
  template <class T>
  void put_all(T& values) {
    into_ += '[';
    bool is_first = true;
    for (auto&& one : values) {
      if (!std::exchange(is_first, false)) into_ += ',';
      put(one);
    }
    into_ += ']';
  }
  template <class Archive, class T>
  static void describe_any(Archive& archive, T& value) {
    if constexpr (Member<T, Archive>) value.describe(archive);
    else describe(archive, value);
  }
  friend class Reader;
  friend class Renumberer;

  std::string& into_;
  std::vector<int>& fds_;
  bool is_first_ = true;
};

// The descriptors that a value names.
template <class T>
std::vector<int> descriptors_of(T& value) {
  std::string text;
  std::vector<int> fds;
  Writer(text, fds).put(value);
  return fds;
}

// Throws Wrong.
class Reader {
 public:
  // `fds` gets the descriptors that the document names. Each may be named once.
  Reader(const Json& object, std::set<int>& fds) : object_(object), fds_(fds) {
    if (!object.is_object()) throw Wrong("found no object where one is expected");
  }
  template <class T>
  Reader& operator()(const char* name, T& value) {
    const auto found = object_.find(name);
    if (found == object_.end()) return *this;
    try {
      get(*found, value);
    } catch (const Wrong& wrong) {
      throw Wrong(std::string(name) + ": " + wrong.what());
    }
    return *this;
  }
  template <class T>
  void get(const Json& found, T& value) {
    if constexpr (std::is_same_v<T, bool>) value = get_bool(found);
    else if constexpr (std::is_enum_v<T>) {
      static_assert(static_cast<int>(last_of<T>) >= 0, "state the last enumerator");
      value = static_cast<T>(get_number<int>(found, 0, static_cast<int>(last_of<T>)));
    } else if constexpr (std::is_integral_v<T>)
      value = get_number<T>(found, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    else if constexpr (std::is_same_v<T, std::string>) value = get_text(found);
    else if constexpr (std::is_same_v<T, Fd>) value.number = get_fd(found);
    else if constexpr (Optional<T>) {
      value.reset();
      if (!found.is_null()) get(found, value.emplace());
    } else if constexpr (Duration<T>)
      // A time that no clock shows would overflow in sums.
      value = T(get_number<std::int64_t>(found, -longest_ms, longest_ms));
    else if constexpr (Range<T>) get_all(found, value);
    else if constexpr (Pair<T>) {
      if (!found.is_array() || found.size() != 2) throw Wrong("found no pair where one is expected");
      get(found[0], value.first);
      get(found[1], value.second);
    } else {
      Reader inner(found, fds_);
      Writer::describe_any(inner, value);
    }
  }

 private:
  static constexpr std::int64_t longest_ms = std::int64_t{1} << 52;
  static constexpr std::size_t most_values = 200'000;

  static bool get_bool(const Json& found);
  int get_fd(const Json& found);
  template <class T>
  static T get_number(const Json& found, T least, T most) {
    if (found.is_number_unsigned()) {
      const auto number = found.get<std::uint64_t>();
      if (std::cmp_greater_equal(number, least) && std::cmp_less_equal(number, most))
        return static_cast<T>(number);
    } else if (found.is_number_integer()) {
      const auto number = found.get<std::int64_t>();
      if (std::cmp_greater_equal(number, least) && std::cmp_less_equal(number, most))
        return static_cast<T>(number);
    }
    throw Wrong("found " + found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40) +
                ", expected a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  template <class T>
  void get_all(const Json& found, T& values) {
    if (!found.is_array() || found.size() > most_values) throw Wrong("found no list, or too long a one");
    values.clear();
    for (const Json& one : found) {
      if constexpr (Map<T>) {
        std::pair<typename T::key_type, typename T::mapped_type> value{};
        get(one, value);
        values.insert(std::move(value));
      } else {
        typename T::value_type value{};
        get(one, value);
        values.insert(values.end(), std::move(value));
      }
    }
  }

  const Json& object_;
  std::set<int>& fds_;
};

// Gives every descriptor of a value another number: a descriptor that is passed on by SCM_RIGHTS has another
// number in the receiving process.
class Renumberer {
 public:
  // Throws Wrong for a descriptor that is not in `numbers`.
  explicit Renumberer(const std::map<int, int>& numbers) : numbers_(numbers) {}
  template <class T>
  Renumberer& operator()(const char* name, T& value) {
    if constexpr (std::is_same_v<T, std::vector<int>>) {
      if (names_descriptors(name))
        for (int& one : value) one = renumbered(one);
    } else if constexpr (std::is_same_v<T, int>) {
      // Where output goes: 1, 2 or the log.
      if (std::string_view(name) == "place" && value > 2) value = renumbered(value);
    } else visit(value);
    return *this;
  }
  template <class T>
  void visit(T& value) {
    if constexpr (std::is_const_v<T> || std::is_enum_v<T> || std::is_arithmetic_v<T> ||
                  std::is_same_v<T, std::string> || Duration<T>)
      return;
    else if constexpr (std::is_same_v<T, Fd>) value.number = renumbered(value.number);
    else if constexpr (Optional<T>) {
      if (value) visit(*value);
    } else if constexpr (Range<T>) {
      if constexpr (!std::is_same_v<T, std::vector<bool>>)
        for (auto& one : value) visit(one);
    } else if constexpr (Pair<T>) visit(value.second);
    else Writer::describe_any(*this, value);
  }

 private:
  // The members of a SO_REUSEPORT group (sockets/reuseport_group.hpp), which are named among the endpoint's
  // sockets, too.
  static bool names_descriptors(std::string_view name) { return name == "sockets" || name == "dealt_to"; }
  int renumbered(int number) const {
    if (number < 0) return number;
    const auto found = numbers_.find(number);
    if (found == numbers_.end()) throw Wrong("descriptor " + std::to_string(number) + " has not come along");
    return found->second;
  }

  const std::map<int, int>& numbers_;
};

}  // namespace liveswap::master::state
