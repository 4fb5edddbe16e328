// TypedHandle: names an object in a CompactingHeap, and how objects of its type are moved.
//
// What is trivially copyable is moved as bytes, anything else by its move constructor and its
// destructor; a type that knows better has a specialization of Relocation:
//
//   template <>
//   struct granary::Relocation<Node> {
//     static void Move(Node* from, Node* to) noexcept;  // `to` is raw memory, and then `from` is.
//   };
#ifndef GRANARY_MEMORY_REGION_TYPED_HANDLE_H_
#define GRANARY_MEMORY_REGION_TYPED_HANDLE_H_

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "memory/region/heap_pin.h"
#include "memory/region/heap_types.h"

namespace granary {

template <class T>
struct TypedHandle {
  BlockHandle block;

  friend bool operator==(const TypedHandle&, const TypedHandle&) = default;
};

template <class T>
struct Relocation {
  // Specializations do not have it.
  static constexpr bool kIsDefault = true;

  static void Move(T* from, T* to) noexcept {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "a type whose moves may throw needs a granary::Relocation of its own");
    ::new (static_cast<void*>(to)) T(std::move(*from));
    std::destroy_at(from);
  }
};

// nullptr if its bytes are all there is to an object.
template <class T>
const BlockOperations* OperationsOf() noexcept {
  constexpr bool kIsBytes = std::is_trivially_copyable_v<T> && requires {
    Relocation<T>::kIsDefault;
  };
  if constexpr (kIsBytes) {
    return nullptr;
  } else {
    static constexpr BlockOperations kOperations = {
        .move =
            [](void* from, void* to, size_t) noexcept {
              Relocation<T>::Move(static_cast<T*>(from), static_cast<T*>(to));
            },
        .destroy = [](void* object, size_t) noexcept { std::destroy_at(static_cast<T*>(object)); }};
    return &kOperations;
  }
}

// A pin that points to an object.
template <class T>
class TypedPin {
 public:
  TypedPin() noexcept = default;
  explicit TypedPin(HeapPin pin) noexcept : pin_(std::move(pin)) {}

  T* get() const noexcept {
    return pin_.holds() ? std::launder(reinterpret_cast<T*>(pin_.bytes().data())) : nullptr;
  }
  T& operator*() const noexcept { return *get(); }
  T* operator->() const noexcept { return get(); }
  void Release() noexcept { pin_.Release(); }

 private:
  HeapPin pin_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TYPED_HANDLE_H_
