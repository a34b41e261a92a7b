//! The web page in a real Chromium: a file is dropped, goes on, is drawn, heard, told about and given.
#![cfg(target_os = "linux")]

mod browser;
mod serving;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use browser::Browser;
use serde_json::json;
use serving::{Serving, encode, phrase};

/// Drops a file on the page as a hand would.
fn drop_file(page: &mut Browser, bytes: &[u8]) {
    page.tell(&format!(
        "(() => {{ const all = new DataTransfer();
           all.items.add(new File([Uint8Array.from(atob('{}'), one => one.charCodeAt(0))], 'demo.mid'));
           document.getElementById('drop').dispatchEvent(new DragEvent('drop', {{ dataTransfer: all, bubbles: true }})); }})()",
        encode(bytes)
    ));
    page.until("document.getElementById('source').dataset.notes > 0");
}

fn set(page: &mut Browser, id: &str, value: &str) {
    page.tell(&format!("document.getElementById('{id}').value = '{value}'"));
}

const STATE: &str = "document.body.dataset.state";

#[test]
fn a_file_goes_on_and_is_seen_heard_and_given() {
    let Some(service) = Serving::new("page", &[]) else { return };
    let Some(mut page) = Browser::open("page", &format!("{}/", service.url)) else { return };
    let file = phrase("demo.mid");
    drop_file(&mut page, &file);
    for (id, value) in [("prime", "4"), ("length", "5"), ("count", "2"), ("seed", "7")] {
        set(&mut page, id, value);
    }
    page.tell("document.getElementById('go').click()");
    page.until(&format!("{STATE} === 'done' || {STATE} === 'error'"));
    assert_eq!(page.tell(STATE), "done", "{}", page.tell("document.getElementById('status').textContent"));
    assert_eq!(page.tell("document.querySelectorAll('article').length"), 2);

    // What is given to the user is what the service makes of the same request.
    let made = service.predict(&json!({
        "task": "continue", "midi_input": encode(&file), "prime_seconds": 4, "length_seconds": 5, "num_variations": 2,
        "temperature": 1, "top_p": 0.95, "seed": 7
    }));
    for index in 0..2 {
        let given = page.tell(&format!(
            "fetch(document.querySelectorAll('.download')[{index}].href).then(one => one.arrayBuffer())
             .then(all => btoa(String.fromCharCode(...new Uint8Array(all))))"
        ));
        let variation = &made["variations"][index];
        assert_eq!(given, variation["midi_base64"]);
        let notes =
            page.tell(&format!("Number(document.querySelectorAll('article canvas')[{index}].dataset.notes)"));
        assert_eq!(notes, variation["num_notes"]);
    }
    // The roll has the colours of what was there and of what is new.
    let drawn = page.tell(
        "(() => { const roll = document.querySelector('article canvas');
           const all = roll.getContext('2d').getImageData(0, 0, roll.width, roll.height).data;
           const found = new Set(); for (let at = 0; at < all.length; at += 4) if (all[at + 3] > 60) found.add(all[at] > all[at + 2] ? 'new' : 'old');
           return [...found].sort().join(); })()",
    );
    assert_eq!(drawn, "new,old");

    page.tell("document.querySelector('.play').click()");
    page.until("document.getElementById('level').value > 0.001");
    page.tell("document.querySelector('.play').click()");
    page.until("document.querySelector('.play').textContent === 'Listen'");

    page.tell("document.querySelector('.analyse').click()");
    page.until("!document.querySelector('.analysis').hidden");
    let told = page.tell(
        "[...document.querySelectorAll('article:first-of-type dt')].map(one => one.textContent).join()",
    );
    assert_eq!(told, "Form,Key,Chords,Rhythm,Motifs");

    // The last is taken as the next beginning, and called off on the way.
    page.tell("document.querySelector('.further').click()");
    page.until("document.getElementById('file-name').textContent.includes('continuo-7.mid')");
    set(&mut page, "length", "120");
    set(&mut page, "count", "8");
    page.tell("document.getElementById('go').click()");
    page.until("document.querySelector('article canvas')?.dataset.notes > 0");
    page.tell("document.getElementById('stop').click()");
    page.until(&format!("{STATE} === 'idle'"));
    assert_eq!(page.wrong, Vec::<String>::new());
}

#[test]
fn faults_are_told_on_the_page() {
    let Some(service) = Serving::new("page-token", &["--token", "sesame"]) else { return };
    let Some(mut page) = Browser::open("page-token", &format!("{}/", service.url)) else { return };
    let status = "document.getElementById('status').textContent";
    for (id, value) in [("length", "1"), ("count", "1"), ("seed", "1")] {
        set(&mut page, id, value);
    }
    page.tell("document.getElementById('go').click()");
    page.until(&format!("{STATE} === 'error'"));
    assert!(page.tell(status).as_str().unwrap().contains("token"));
    assert_eq!(page.tell("document.querySelector('.token').hidden"), false);
    set(&mut page, "token", "sesame");
    page.tell("document.getElementById('go').click()");
    page.until(&format!("{STATE} === 'done'"));
    page.tell(
        "(() => { const all = new DataTransfer(); all.items.add(new File(['no music'], 'x.mid'));
           document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: all })); })()",
    );
    page.until(&format!("{STATE} === 'error'"));
    assert!(page.tell(status).as_str().unwrap().contains("x.mid"));
}

#[test]
fn what_the_page_reads_of_a_file_is_what_is_in_it() {
    let Some(service) = Serving::new("page-midi", &[]) else { return };
    let Some(mut page) = Browser::open("page-midi", &format!("{}/", service.url)) else { return };
    for name in ["demo.mid"] {
        let bytes = phrase(name);
        let told =
            service.post("/analyze", &json!({ "midi_input": encode(&bytes), "analyses": ["metadata"] })).body;
        let read = page.tell(&format!(
            "import('/midi.js').then(one => one.parse(Uint8Array.from(atob('{}'), one => one.charCodeAt(0))))
             .then(song => [song.notes.length, Math.round(song.seconds * 1000) / 1000])",
            STANDARD.encode(&bytes)
        ));
        assert_eq!(read[0], told["metadata"]["note_count"]);
        let difference = read[1].as_f64().unwrap() - told["metadata"]["duration_seconds"].as_f64().unwrap();
        assert!(difference.abs() < 0.01, "{read} {told}");
    }
}
