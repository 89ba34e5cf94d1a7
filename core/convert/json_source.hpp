// JSON with the line of every value, in the order of the file. As lenient as pm2, which lets JavaScript read
// its .json files: comments, a comma too many, keys without quotes and texts in single ones are accepted;
// code is not.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "convert/source.hpp"

namespace circus::convert {

struct JsonMember;

struct JsonNode {
    enum class Kind { Scalar, Array, Object };
    Kind kind = Kind::Scalar;
    Json scalar;  // null, a boolean, a number or a text
    std::vector<JsonNode> items;
    std::vector<JsonMember> members;
    int line = 0;

    const JsonNode* find(std::string_view name) const;
    Json to_json() const;
};

struct JsonMember {
    std::string name;
    JsonNode value;
};

std::variant<JsonNode, Problem> parse_json_source(const std::string& file, std::string_view text);

}  // namespace circus::convert
