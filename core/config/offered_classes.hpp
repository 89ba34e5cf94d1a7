// Classes of streams that are not circusd's own, as the configuration knows them beside offer_stream_class()
// and withdraw_stream_class() of option_table.hpp.
#pragma once

#include <string_view>

namespace circus::config {

bool is_stream_class(std::string_view name);  // circusd's own, or offered at the moment

// While one lives and `some`, a class that nobody offers yet is taken for one that will be: a configuration
// is read before its plugins run. For the thread that it lives in.
class ExpectStreamClasses {
  public:
    explicit ExpectStreamClasses(bool some);
    ~ExpectStreamClasses();
    ExpectStreamClasses(const ExpectStreamClasses&) = delete;
    ExpectStreamClasses& operator=(const ExpectStreamClasses&) = delete;

  private:
    const bool before_;
};

}  // namespace circus::config
