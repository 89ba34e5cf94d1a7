#include "stacks.hpp"

namespace console {

Stack* Stacks::find(std::string_view name) {
    for (Stack& each : stacks_)
        if (!name.empty() && each.name == name) return &each;
    return nullptr;
}

circus::Json Stacks::list() const {
    circus::Json rows = circus::Json::array();
    for (const Stack& each : stacks_)
        rows.push_back({{"name", each.name}, {"endpoint", each.endpoint}, {"problem", each.problem}});
    return rows;
}

}  // namespace console
