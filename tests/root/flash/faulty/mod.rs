//! `pibake flash` on drives that fail, lie, forget, vanish and lag. Whatever they do: a card is right
//! and said to be done, or it is said not to be, and nothing boots from it.

mod bench;
mod ended;
mod failing;
mod lying;
mod neighbours;
mod power;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("flash::faulty::a_write_fails_or_all_do", failing::a_write),
        Trial::test("flash::faulty::a_read_fails_or_all_do", failing::a_read),
        Trial::test("flash::faulty::a_flush_fails", failing::a_flush),
        Trial::test("flash::faulty::the_drive_is_gone", failing::the_drive_is_gone),
        Trial::test("flash::faulty::the_card_is_worn_out", failing::the_card_is_worn_out),
        Trial::test("flash::faulty::some_writes_are_forgotten", failing::some_writes_are_forgotten),
        Trial::test("flash::faulty::a_bit_flips", failing::a_bit_flips),
        Trial::test(
            "flash::faulty::lies_are_found_before_the_long_write",
            lying::found_before_the_long_write,
        ),
        Trial::test("flash::faulty::lies_never_end_in_a_wrong_done", lying::never_a_wrong_done),
        Trial::test("flash::faulty::one_of_three_vanishes", neighbours::one_vanishes),
        Trial::test("flash::faulty::one_of_two_is_pulled_out", neighbours::one_is_pulled_out),
        Trial::test("flash::faulty::one_of_two_is_ten_times_slower", neighbours::one_is_ten_times_slower),
        Trial::test("flash::faulty::the_table_is_stored_last", power::the_table_is_stored_last),
        Trial::test("flash::faulty::the_power_is_cut_at_any_moment", power::cut_at_any_moment),
        Trial::test("flash::faulty::killed_with_any_request", ended::killed),
        Trial::test("flash::faulty::stopped_with_any_request", ended::stopped),
    ]
}
