#include "control/properties.hpp"

#include <limits>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/python_text.hpp"
#include "sys/signals.hpp"

namespace circus::control {

namespace {

// Longer waits are nobody's wish, and far longer ones do not fit a clock.
constexpr double kMaxSeconds = 1e9;

const Json* given(const Json& properties, const char* name) {
    const auto at = properties.find(name);
    return at == properties.end() || at->is_null() ? nullptr : &*at;
}

std::optional<double> to_seconds_value(const Json& value) {
    std::optional<double> seconds;
    if (value.is_number())
        seconds = value.get<double>();
    else if (value.is_string())
        seconds = parse_number(value.get_ref<const std::string&>());
    if (!seconds || !(*seconds >= 0 && *seconds <= kMaxSeconds)) return std::nullopt;
    return seconds;
}

// 0 is no signal, but kill(2) takes it and so does Circus.
std::optional<int> to_signal(const Json& value) {
    if (const auto number = to_integer(value))
        return *number == 0 || sys::is_signal(*number) ? std::optional(static_cast<int>(*number))
                                                       : std::nullopt;
    return value.is_string() ? sys::parse_signal(value.get_ref<const std::string&>()) : std::nullopt;
}

std::optional<std::string> complaint(const Property& property, const Json& value) {
    const std::string name = py_repr(property.name);
    switch (property.type) {
        case PropertyType::Any:
        case PropertyType::Flag:
            return std::nullopt;
        case PropertyType::Text:
            return value.is_string() ? std::nullopt : std::optional(name + " isn't a string");
        case PropertyType::Integer:
            return to_integer(value) ? std::nullopt : std::optional(name + " isn't an integer");
        case PropertyType::Seconds:
            return to_seconds_value(value) ? std::nullopt : std::optional(name + " isn't a number");
        case PropertyType::Signal:
            return to_signal(value) ? std::nullopt : std::optional<std::string>("signal invalid");
        case PropertyType::List:
            return value.is_array() ? std::nullopt : std::optional(name + " isn't a list");
        case PropertyType::Object:
            return value.is_object() ? std::nullopt : std::optional(name + " property should be an object");
    }
    return std::nullopt;
}

}  // namespace

std::optional<long long> to_integer(const Json& value) {
    if (value.is_string()) return parse_int(value.get_ref<const std::string&>());
    if (value.is_number_unsigned() &&
        value.get<unsigned long long>() >
            static_cast<unsigned long long>(std::numeric_limits<long long>::max()))
        return std::nullopt;
    if (!value.is_number_integer()) return std::nullopt;
    return value.get<long long>();
}

Status validate(const Command& command, const Json& properties) {
    for (const Property& property : command.properties)
        if (property.required && !properties.contains(std::string(property.name)))
            return Error{cat("message invalid ", py_repr(property.name), " is missing")};
    for (const Property& property : command.properties) {
        const auto at = properties.find(std::string(property.name));
        if (at == properties.end() || (at->is_null() && !property.required)) continue;
        if (auto wrong = complaint(property, *at)) return Error{std::move(*wrong)};
    }
    return Ok{};
}

bool has(const Json& properties, const char* name) {
    return given(properties, name) != nullptr;
}

std::string text_of(const Json& properties, const char* name) {
    const Json* value = given(properties, name);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<long long> integer_of(const Json& properties, const char* name) {
    const Json* value = given(properties, name);
    return value ? to_integer(*value) : std::nullopt;
}

std::optional<double> seconds_of(const Json& properties, const char* name) {
    const Json* value = given(properties, name);
    return value ? to_seconds_value(*value) : std::nullopt;
}

std::optional<int> signal_of(const Json& properties, const char* name) {
    const Json* value = given(properties, name);
    return value ? to_signal(*value) : std::nullopt;
}

bool flag_of(const Json& properties, const char* name, bool otherwise) {
    const Json* value = given(properties, name);
    return value ? is_true(*value) : otherwise;
}

}  // namespace circus::control
