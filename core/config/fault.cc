#include "config/fault.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::config {
namespace {

std::string_view file_words(ValueType type) {
    switch (type) {
        case ValueType::Boolean:
            return "true or false";
        case ValueType::Integer:
            return "an integer";
        case ValueType::Number:
            return "a number";
        case ValueType::Text:
            return "a string";
        case ValueType::TextOrList:
            return "a string or an array of strings";
        case ValueType::Signal:
            return "the name or the number of a signal";
        case ValueType::UserName:
            return "the name or the number of a user";
        case ValueType::GroupName:
            return "the name or the number of a group";
        case ValueType::Octal:
            return "an octal string like \"022\"";
        case ValueType::Env:
            return "a table of strings";
        case ValueType::Stream:
            return "a table with a \"class\"";
        case ValueType::Rlimit:
            return "an integer, \"unlimited\" or [soft, hard]";
        case ValueType::Hooks:
            return "a table of hooks, each \"library.so:function\" or {exec = \"command\"}";
        case ValueType::Ready:
            return "\"spawned\", \"notify\" or a table with one of log, tcp, http and exec";
        case ValueType::Depends:
            return "an array of names or a table {name = \"started\", \"ready\" or \"completed\"}";
        case ValueType::Size:
            return "a size like \"200M\" or a number of bytes";
        case ValueType::Strings:
            return "an array of strings";
        case ValueType::Table:
            return "a table";
    }
    return "something else";
}

// The value that was most likely meant, as a file would write it; empty where that would be a guess.
std::string meant(ValueType type, const Json& value) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        const std::string word = to_lower(text);
        if (type == ValueType::Integer && parse_int(text)) return std::to_string(*parse_int(text));
        if (type == ValueType::Number && parse_number(text)) return text;
        if (type == ValueType::Boolean) {
            if (word == "true" || word == "yes" || word == "on" || word == "1") return "true";
            if (word == "false" || word == "no" || word == "off" || word == "0") return "false";
        }
        return {};
    }
    if (type == ValueType::Text && (value.is_number_integer() || value.is_boolean()))
        return Json(value.dump()).dump();
    if (type == ValueType::Boolean && value.is_number_integer()) {
        if (value == 0) return "false";
        if (value == 1) return "true";
    }
    if (type == ValueType::Integer && value.is_number_float()) {
        const double number = value.get<double>();
        if (std::trunc(number) == number && std::fabs(number) < 1e15)
            return std::to_string(static_cast<long long>(number));
    }
    return {};
}

std::string element_that_is_no_string(const Json& array) {
    for (const auto& element : array)
        if (!element.is_string()) return cat(" that holds ", describe(element));
    return {};
}

}  // namespace

std::string toml_text(const Json& value) {
    constexpr size_t kLongest = 64;
    if (value.is_binary()) return "(date)";
    if (value.is_number_float() && !std::isfinite(value.get<double>()))
        return std::isnan(value.get<double>()) ? "nan" : value.get<double>() < 0 ? "-inf" : "inf";
    std::string text;
    if (value.is_array()) {
        std::vector<std::string> parts;
        for (const auto& element : value) parts.push_back(toml_text(element));
        text = cat("[", join(parts, ", "), "]");
    } else if (value.is_object()) {
        return "{…}";
    } else {
        text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    if (text.size() <= kLongest) return text;
    size_t cut = kLongest;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
        --cut;  // not inside a character
    return text.substr(0, cut) + "…";
}

std::string describe(const Json& value) {
    if (value.is_string()) return cat("the string ", toml_text(value));
    if (value.is_boolean()) return toml_text(value);
    if (value.is_number_integer()) return cat("the integer ", toml_text(value));
    if (value.is_number()) return cat("the number ", toml_text(value));
    if (value.is_binary()) return "a date or a time";
    if (value.is_object()) return "a table";
    if (value.is_null()) return "null";
    return "an array";
}

std::string toml_name(std::string_view name) {
    const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
    return bare ? std::string(name) : toml_text(std::string(name));
}

std::string file_text(const Fault& fault, std::string_view section, const Json& value) {
    std::string place(section);
    if (!fault.sub_key.empty()) place += cat(".", toml_name(fault.key));
    if (!fault.inner.empty()) place += cat(".", toml_name(fault.sub_key));
    const std::string where = cat("[", place, "]");
    const std::string& name = !fault.inner.empty()     ? fault.inner
                              : !fault.sub_key.empty() ? fault.sub_key
                                                       : fault.key;
    switch (fault.kind) {
        case Fault::Kind::Unknown:
            return cat("unknown option \"", name, "\" in ", where,
                       fault.text.empty() ? "" : cat("; did you mean \"", fault.text, "\"?"));
        case Fault::Kind::NotAvailable:
            return cat("option \"", name, "\" in ", where, " is ", kNotAvailable);
        case Fault::Kind::NotOfClass:
            return cat("\"", name, "\" in ", where, " is not an option of ", fault.text);
        case Fault::Kind::WrongType: {
            const std::string remedy = meant(fault.type, value);
            std::string given = describe(value);
            if ((fault.type == ValueType::TextOrList || fault.type == ValueType::Strings) && value.is_array())
                given += element_that_is_no_string(value);
            return cat("\"", name, "\" in ", where, " must be ", file_words(fault.type), ", not ", given,
                       remedy.empty() ? "" : cat("; write ", toml_name(name), " = ", remedy));
        }
        case Fault::Kind::BadValue:
            return cat(toml_name(name), " = ", toml_text(value), " in ", where, ": ", fault.text);
        case Fault::Kind::Missing:
            return cat(where, " has no \"", name, "\"", fault.text);
    }
    return fault.text;
}

Error wire_error(const Fault& fault, const Json& value) {
    if (!fault.wire.empty()) return {fault.wire, fault.wire_code};
    // Circus names a variable of `env` alone and a stream's option by its dotted name.
    const std::string shown = fault.sub_key.empty() ? fault.key
                              : fault.key == "env"  ? fault.sub_key
                                                    : cat(fault.key, ".", fault.sub_key);
    const std::string key = circus::py_repr(fault.inner.empty() ? shown : cat(shown, ".", fault.inner));
    switch (fault.kind) {
        case Fault::Kind::Unknown:
        case Fault::Kind::NotOfClass:
            return {cat("unknown key ", key), fault.wire_code};
        case Fault::Kind::NotAvailable:
            return {cat(key, " is ", kNotAvailable), fault.wire_code};
        case Fault::Kind::Missing:
            return {cat(key, " is missing", fault.text), fault.wire_code};
        case Fault::Kind::BadValue:
            return {cat(key, ": ", fault.text), fault.wire_code};
        case Fault::Kind::WrongType:
            break;
    }
    std::string_view words = " isn't a string";
    switch (fault.type) {
        case ValueType::Integer:
        case ValueType::Signal:
            words = " isn't an integer";
            break;
        case ValueType::Number:
            words = " isn't a number";
            break;
        case ValueType::UserName:
        case ValueType::GroupName:
            words = " isn't an integer or string";
            break;
        case ValueType::Boolean:
            words = " isn't a valid boolean";
            break;
        case ValueType::TextOrList:
            words = " isn't a string or list";
            break;
        case ValueType::Octal:
            words = " isn't an octal string";
            break;
        case ValueType::Env:
        case ValueType::Stream:
        case ValueType::Hooks:
        case ValueType::Table:
            words = " isn't a valid object";
            break;
        case ValueType::Ready:
            words = " isn't a valid readiness";
            break;
        case ValueType::Depends:
            words = " isn't a list or object";
            break;
        case ValueType::Size:
            words = " isn't a size";
            break;
        case ValueType::Strings:
            words = " isn't a list";
            break;
        case ValueType::Rlimit:
            return {cat(py_repr(value), " rlimit value isn't a valid int"), fault.wire_code};
        case ValueType::Text:
            break;
    }
    return {cat(key, words), fault.wire_code};
}

namespace {
// A message may nest as deep as it is long; its error must not cost a stack frame for each level.
std::string py_repr_to(const Json& value, int depth) {
    if (value.is_string()) return circus::py_repr(value.get_ref<const std::string&>());
    if (value.is_null()) return "None";
    if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
    if (!value.is_structured()) return toml_text(value);
    if (depth == 0) return "...";
    std::vector<std::string> parts;
    if (value.is_array()) {
        for (const auto& element : value) parts.push_back(py_repr_to(element, depth - 1));
        return cat("[", join(parts, ", "), "]");
    }
    for (const auto& [name, member] : value.items())
        parts.push_back(cat(circus::py_repr(name), ": ", py_repr_to(member, depth - 1)));
    return cat("{", join(parts, ", "), "}");
}
}  // namespace

std::string py_repr(const Json& value) {
    constexpr int kDeepest = 16;
    return py_repr_to(value, kDeepest);
}

std::string py_str(const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_null()) return {};
    if (value.is_array()) {
        std::vector<std::string> parts;
        for (const auto& element : value) parts.push_back(py_str(element));
        return join(parts, " ");
    }
    return py_repr(value);
}

}  // namespace circus::config
