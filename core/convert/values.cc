#include "convert/values.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "base/truth.hpp"

namespace circus::convert {
namespace {

bool has_substitution(std::string_view word) {
    return word.find("$(circus.") != std::string_view::npos ||
           word.find("((circus.") != std::string_view::npos;
}

std::optional<Json> to_boolean(std::string_view word) {
    if (const auto truth = parse_truth(word)) return Json(*truth);
    return std::nullopt;
}

std::optional<Json> to_number(std::string_view word) {
    if (const auto integer = parse_int(word)) return *integer;
    const auto number = parse_number(word);
    if (!number) return std::nullopt;
    if (std::floor(*number) == *number && std::abs(*number) < 1e15) return static_cast<long long>(*number);
    return *number;
}

bool expands(const std::string& value) {
    for (size_t at = value.find('$'); at != std::string::npos; at = value.find('$', at + 1)) {
        const char next = at + 1 < value.size() ? value[at + 1] : ' ';
        if (next == '{' || next == '_' || (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z'))
            return true;
    }
    return false;
}

}  // namespace

std::optional<Json> to_value(std::string_view word, ValueKind kind) {
    word = trim(word);
    if (kind != ValueKind::Text && has_substitution(word)) return Json(std::string(word));
    switch (kind) {
        case ValueKind::Text:
            return Json(std::string(word));
        case ValueKind::Boolean:
            return to_boolean(word);
        case ValueKind::Number:
            return to_number(word);
        case ValueKind::Integer:
            if (const auto integer = parse_int(word)) return *integer;
            return std::nullopt;
        case ValueKind::IntegerOrText:
            if (const auto integer = parse_int(word)) return *integer;
            return Json(std::string(word));
    }
    return std::nullopt;
}

std::string_view words_for(ValueKind kind) {
    switch (kind) {
        case ValueKind::Boolean:
            return "a boolean (true or false)";
        case ValueKind::Number:
            return "a number";
        case ValueKind::Integer:
            return "an integer";
        default:
            return "a text";
    }
}

void set_value(Stack& stack, Section& section, std::string_view key, std::string_view word, ValueKind kind,
               const Place& at, std::string_view what) {
    if (auto value = to_value(word, kind))
        section.set(key, std::move(*value), at);
    else
        stack.problem(at, cat(what, " must be ", words_for(kind), ", not \"", word, "\""));
}

std::string in_one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return std::string(trim(text));
}

void set_literal_variable(Section& section, const std::string& key, const std::string& value,
                          const Place& at) {
    if (expands(value))
        section.remark(at, key,
                       "circusd fills in $NAME from its own environment, and there is no way to quote it: "
                       "have the program read such a value from a file, or put it into circusd's environment "
                       "and write $(circus.env.NAME)");
    section.set(key, value, at);
}

}  // namespace circus::convert
