// Bodies of the row makers of option_row.hpp, for the files that hold the tables.
#pragma once

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row.hpp"

namespace circus::config {

template <class Section>
Row<Section> boolean_row(std::string_view name, bool Section::*field, Effect effect, std::string_view doc) {
    return make_row(name, ValueType::Boolean, field, effect, doc, read_bool,
                    [](bool value) { return Json(value); });
}

template <class Section>
Row<Section> text_row(std::string_view name, std::string Section::*field, Effect effect,
                      std::string_view doc) {
    return make_row(name, ValueType::Text, field, effect, doc, read_text,
                    [](const std::string& value) { return value.empty() ? Json() : Json(value); });
}

template <class Section>
Row<Section> integer_row(std::string_view name, int Section::*field, Range range, Effect effect,
                         std::string_view doc) {
    return make_row(
        name, ValueType::Integer, field, effect, doc,
        [range](const Json& value, std::string_view key, int* out) {
            long long number = 0;
            auto fault = read_int(value, key, range, &number);
            if (!fault) *out = static_cast<int>(number);
            return fault;
        },
        [](int value) { return Json(value); });
}

template <class Section>
Row<Section> number_row(std::string_view name, double Section::*field, double low, Effect effect,
                        std::string_view doc) {
    return make_row(
        name, ValueType::Number, field, effect, doc,
        [low](const Json& value, std::string_view key, double* out) {
            return read_number(value, key, low, out);
        },
        [](double value) { return Json(value); });
}

template <class Section>
Row<Section> octal_row(std::string_view name, std::optional<mode_t> Section::*field, Effect effect,
                       std::string_view doc) {
    return make_row(name, ValueType::Octal, field, effect, doc, read_octal, octal_to_json);
}

template <class Section>
Row<Section> user_row(std::string_view name, std::optional<UserRef> Section::*field, Effect effect,
                      std::string_view doc) {
    return make_row(
        name, ValueType::UserName, field, effect, doc, read_user,
        [](const std::optional<UserRef>& user) { return user ? written_to_json(user->written) : Json(); });
}

template <class Section>
Row<Section> group_row(std::string_view name, std::optional<GroupRef> Section::*field, Effect effect,
                       std::string_view doc) {
    return make_row(name, ValueType::GroupName, field, effect, doc, read_group,
                    [](const std::optional<GroupRef>& group) {
                        return group ? written_to_json(group->written) : Json();
                    });
}

template <class T>
using Choices = std::vector<std::pair<std::string_view, T>>;

// One of a few words, matched without case.
template <class Section, class T>
Row<Section> choice_row(std::string_view name, T Section::*field, const Choices<T>& choices,
                        std::string_view doc, Effect effect = Effect::Restart) {
    const auto show = [choices](const T& value) -> Json {
        for (const auto& [word, meaning] : choices)
            if (meaning == value) return word;
        return {};
    };
    const auto read = [choices](const Json& value, std::string_view key, T* out) -> std::optional<Fault> {
        if (!value.is_string()) return wrong_type(key, ValueType::Text);
        const auto& given = value.get_ref<const std::string&>();
        std::vector<std::string> words;
        for (const auto& [word, meaning] : choices) {
            words.emplace_back(word);
            if (!equals_ignoring_case(word, given)) continue;
            *out = meaning;
            return std::nullopt;
        }
        return bad_value(key, cat("must be one of ", join(words, ", ")));
    };
    auto row = make_row(name, ValueType::Text, field, effect, doc, read, show);
    for (const auto& [word, meaning] : choices) row.info.choices.emplace_back(word);
    return row;
}

}  // namespace circus::config
