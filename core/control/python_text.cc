#include "control/python_text.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::control {

namespace {
std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}
}  // namespace

// Recursion is bounded: nothing nested deeper than kDeepestJson gets in.
std::string repr(const Json& value) {
    std::string out;
    switch (value.type()) {
        case Json::value_t::null:
            return "None";
        case Json::value_t::boolean:
            return value.get<bool>() ? "True" : "False";
        case Json::value_t::string:
            return py_repr(value.get_ref<const std::string&>());
        case Json::value_t::array:
            for (const auto& item : value) out += (out.empty() ? "[" : ", ") + repr(item);
            return out.empty() ? "[]" : out + "]";
        case Json::value_t::object:
            for (const auto& [key, item] : value.items())
                out += (out.empty() ? "{" : ", ") + py_repr(key) + ": " + repr(item);
            return out.empty() ? "{}" : out + "}";
        default:
            return dump(value);
    }
}

std::string str(const Json& value) {
    return value.is_string() ? value.get<std::string>() : repr(value);
}

bool is_true(const Json& value) {
    switch (value.type()) {
        case Json::value_t::null:
            return false;
        case Json::value_t::boolean:
            return value.get<bool>();
        case Json::value_t::string:
            return !value.get_ref<const std::string&>().empty();
        case Json::value_t::array:
        case Json::value_t::object:
            return !value.empty();
        default:
            return value.get<double>() != 0;
    }
}

}  // namespace circus::control
