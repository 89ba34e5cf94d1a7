// DeathMemory: where the records of deaths lie, held by the keeper for the next arbiter. The loop's thread.
#pragma once

#include <memory>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "bin/holds.hpp"
#include "supervise/death_book.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

class DeathMemory {
  public:
    void inherit(UniqueFd fd) { inherited_ = std::move(fd); }
    // The book of the arbiter before, or a new one. Null: there is no memory for one.
    supervise::DeathBook* open(supervise::KeeperPort& keeper) {
        if (inherited_) {
            auto inherited = supervise::DeathBook::open(std::move(inherited_));
            if (inherited) {
                book_ = std::move(*inherited);
                return book_.get();
            }
            log::warning(cat(inherited.error().text, ": they begin anew"));
        }
        auto memory = supervise::DeathBook::make_memory();
        if (!memory) {
            log::error(cat(memory.error().text, "; no records of deaths are kept"));
            return nullptr;
        }
        book_ = std::make_unique<supervise::DeathBook>(std::move(*memory));
        keeper.hold(hold_of(HoldSpace::Deaths, 1), "deaths", book_->fd());
        return book_.get();
    }

  private:
    UniqueFd inherited_;
    std::unique_ptr<supervise::DeathBook> book_;
};

}  // namespace circus::bin
