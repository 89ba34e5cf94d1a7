#include <cmath>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row.hpp"
#include "sys/identity.hpp"
#include "sys/protocol.hpp"
#include "sys/signals.hpp"

namespace circus::config {

Fault wrong_type(std::string_view key, ValueType type) {
    return {Fault::Kind::WrongType, std::string(key), {}, type, {}, {}, 3};
}

Fault bad_value(std::string_view key, std::string reason) {
    return {Fault::Kind::BadValue, std::string(key), {}, ValueType::Text, std::move(reason), {}, 3};
}

Faults faults(std::optional<Fault> fault) {
    if (!fault) return {};
    return {std::move(*fault)};
}

std::string default_text_of(const Json& value) {
    return value.is_null() ? "–" : toml_text(value);
}

std::optional<Fault> read_bool(const Json& value, std::string_view key, bool* out) {
    if (!value.is_boolean()) return wrong_type(key, ValueType::Boolean);
    *out = value.get<bool>();
    return std::nullopt;
}

std::optional<Fault> read_int(const Json& value, std::string_view key, Range range, long long* out) {
    if (!value.is_number_integer()) return wrong_type(key, ValueType::Integer);
    // A message may hold integers above the signed ones; they are too large for every option.
    const bool huge = value.is_number_unsigned() &&
                      value.get<unsigned long long>() >
                          static_cast<unsigned long long>(std::numeric_limits<long long>::max());
    const long long number = huge ? std::numeric_limits<long long>::max() : value.get<long long>();
    if (number < range.low)
        return bad_value(key, range.low == 0 ? "must not be negative" : cat("must be at least ", range.low));
    if (number > range.high || huge) return bad_value(key, cat("must be at most ", range.high));
    *out = number;
    return std::nullopt;
}

std::optional<Fault> read_number(const Json& value, std::string_view key, double low, double* out) {
    if (!value.is_number()) return wrong_type(key, ValueType::Number);
    const double number = value.get<double>();
    if (!std::isfinite(number)) return bad_value(key, "must be finite");
    if (number < low)
        return bad_value(key, low == 0 ? "must not be negative" : cat("must be at least ", Json(low).dump()));
    if (number > kLongestSeconds)
        return bad_value(key, cat("must be at most ", static_cast<long long>(kLongestSeconds)));
    *out = number;
    return std::nullopt;
}

std::optional<Fault> read_text(const Json& value, std::string_view key, std::string* out) {
    if (value.is_null()) {
        out->clear();
        return std::nullopt;
    }
    if (!value.is_string()) return wrong_type(key, ValueType::Text);
    const auto& text = value.get_ref<const std::string&>();
    if (text.find('\0') != std::string::npos) return bad_value(key, "must not hold a NUL character");
    *out = text;
    return std::nullopt;
}

std::optional<Fault> read_octal(const Json& value, std::string_view key, std::optional<mode_t>* out) {
    if (!value.is_string()) return wrong_type(key, ValueType::Octal);
    std::string_view digits = value.get_ref<const std::string&>();
    if (digits.starts_with("0o")) digits.remove_prefix(2);
    if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("01234567") != std::string_view::npos)
        return bad_value(key, "must be octal digits, like \"022\"");
    mode_t mode = 0;
    for (const char digit : digits) mode = mode * 8 + static_cast<mode_t>(digit - '0');
    if (mode > 0777) return bad_value(key, "must be at most \"777\"");
    *out = mode;
    return std::nullopt;
}

namespace {

// A user or group as text: a name, or a number within what a uid_t may be. (uid_t)-1 means "leave it" to the
// system calls and is nobody's.
std::optional<Fault> read_name(const Json& value, std::string_view key, ValueType type, std::string* out) {
    if (value.is_number_integer()) {
        long long number = 0;
        if (auto fault = read_int(value, key, {0, 4294967294LL}, &number)) return fault;
        *out = std::to_string(number);
        return std::nullopt;
    }
    if (!value.is_string()) return wrong_type(key, type);
    *out = value.get<std::string>();
    return std::nullopt;
}

}  // namespace

std::optional<Fault> read_user(const Json& value, std::string_view key, std::optional<UserRef>* out) {
    std::string name;
    if (auto fault = read_name(value, key, ValueType::UserName, &name)) return fault;
    const auto user = sys::find_user(name);
    if (!user) {
        Fault fault = bad_value(key, "no such user");
        fault.wire = cat(circus::py_repr(name), " isn't a valid user name");
        fault.wire_code = 5;
        return fault;
    }
    *out = UserRef{name, user->uid};
    return std::nullopt;
}

std::optional<Fault> read_group(const Json& value, std::string_view key, std::optional<GroupRef>* out) {
    std::string name;
    if (auto fault = read_name(value, key, ValueType::GroupName, &name)) return fault;
    const auto group = sys::find_group(name);
    if (!group) {
        Fault fault = bad_value(key, "no such group");
        fault.wire = cat("No such group: ", circus::py_repr(name));
        fault.wire_code = 5;
        return fault;
    }
    *out = GroupRef{name, *group};
    return std::nullopt;
}

std::optional<Fault> read_signal(const Json& value, std::string_view key, int* out) {
    if (!value.is_string() && !value.is_number_integer()) return wrong_type(key, ValueType::Signal);
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const auto signo = sys::parse_signal(text);
    if (!signo || !sys::is_signal(*signo)) {
        Fault fault = bad_value(key, "no such signal");
        fault.wire = "signal invalid";
        return fault;
    }
    *out = *signo;
    return std::nullopt;
}

std::optional<Fault> read_protocol(const Json& value, std::string_view key, int* out) {
    if (!value.is_string() && !value.is_number_integer()) return wrong_type(key, ValueType::Text);
    const auto protocol = sys::find_protocol(value.is_string() ? value.get<std::string>() : value.dump());
    if (!protocol) return bad_value(key, "no such protocol");
    *out = *protocol;
    return std::nullopt;
}

Json octal_to_json(const std::optional<mode_t>& mode) {
    if (!mode) return {};
    std::string digits;
    for (mode_t rest = *mode; rest != 0 || digits.size() < 3; rest /= 8)
        digits.insert(digits.begin(), static_cast<char>('0' + rest % 8));
    return digits;
}

Json written_to_json(const std::string& written) {
    if (const auto number = parse_int(written)) return *number;
    return written;
}

}  // namespace circus::config
