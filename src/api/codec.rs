//! The codec of unary methods: prost's, for one message a call.

use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstCodec;

use crate::error::status::second_message;

/// Encodes `T` and decodes one `U` a call. The library's own reads the messages after the first one,
/// and forgets them.
#[derive(Clone, Debug)]
pub struct UnaryCodec<T, U>(ProstCodec<T, U>);

/// Decodes one message.
#[derive(Clone, Debug)]
pub struct Once<D> {
    inner: D,
    is_over: bool,
}

impl<T, U> Default for UnaryCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for UnaryCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = Once<<ProstCodec<T, U> as Codec>::Decoder>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Once {
            inner: self.0.decoder(),
            is_over: false,
        }
    }
}

impl<D: Decoder<Error = Status>> Decoder for Once<D> {
    type Item = D::Item;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D::Item>, Status> {
        if std::mem::replace(&mut self.is_over, true) {
            return Err(second_message());
        }
        self.inner.decode(buffer)
    }
}
