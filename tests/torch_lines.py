"""What modules of PyTorch are made of, line by line; sizes of the map `x` are in braces."""

from __future__ import annotations

MODULES = (
    "nn.ReLU() nn.ReLU(inplace=True) nn.ReLU6() nn.LeakyReLU(0.1) nn.ELU() nn.ELU(0.7) nn.CELU(0.6) "
    "nn.SELU() nn.GELU() nn.GELU(approximate='tanh') nn.SiLU() nn.Mish() nn.Sigmoid() nn.Tanh() "
    "nn.Softplus() nn.Softplus(beta=2) nn.Softsign() nn.Hardswish() nn.Hardsigmoid() nn.Hardtanh() "
    "nn.Hardtanh(-0.5,0.8) nn.LogSigmoid() nn.Tanhshrink() nn.Softshrink(0.2) nn.PReLU() nn.RReLU() "
    "nn.Threshold(0.1,0.1) nn.Identity() nn.Dropout(0.3) nn.Dropout2d() nn.Softmax2d() "
    "nn.SiLU(inplace=True) nn.LeakyReLU(0.2,inplace=True)"
).split()
FUNCTIONS = (
    "F.relu(x) torch.relu(x) x.relu() F.relu(x,inplace=True) x.relu_() F.relu6(x) F.leaky_relu(x,0.3) "
    "F.elu(x) F.gelu(x) F.silu(x) F.mish(x) torch.sigmoid(x) x.sigmoid() torch.tanh(x) x.tanh_() "
    "F.softplus(x) F.hardswish(x) F.hardsigmoid(x) F.hardtanh(x,-1,2) F.logsigmoid(x) F.tanhshrink(x) "
    "F.softshrink(x) x*torch.sigmoid(x) x*torch.tanh(F.softplus(x)) x.clamp(-1,1.5) x.clamp(min=0) "
    "torch.clamp(x,max=0.7) x.clamp_(-2,2) x.abs() torch.abs(x)+1 x.square() x**2 x**3 "
    "torch.pow(x.abs()+0.5,0.5) (x.abs()+0.1).sqrt() torch.exp(-x.abs()) torch.log1p(x.abs()) "
    "torch.log(x.abs()+0.5) torch.where(x>0,x,0.1*x) x*(x>0) torch.where(x<0,torch.zeros_like(x),x) "
    "torch.maximum(x,-0.2*x) torch.minimum(x,x*0.5) 1-x 2*x+1 -x x/3 (x-0.1)/0.7 1/(x.abs()+1) "
    "x/(1+x.abs()) torch.erf(x) torch.sin(x) torch.cos(x) torch.atan(x) x.softmax(1) F.softmax(x,dim=-1) "
    "F.log_softmax(x,1) F.normalize(x,dim=1) x.clone() x.detach() x.contiguous() torch.rsqrt(x*x+0.5) "
    "F.dropout(x,0.5,self.training) F.threshold(x,0.2,0.2) x.exp().clamp(max=3) F.selu(x) F.celu(x,0.5) "
    "F.elu(x,0.5) x.mul(0.5) x.add(1,alpha=2) torch.sub(x,0.2) x.neg() x.div(2) x.true_divide(3) "
    "x.float() x.to(torch.float32) torch.sigmoid(1.702*x)*x torch.square(F.relu(x)) x.sign()*x x.expm1() "
    "x.sinh() torch.nn.functional.softmin(x,1) torch.reciprocal(x.abs()+2) torch.mul(x,x) x.type_as(x) "
    "x.clip(-1,1)"
).split()
VIEWS = (
    "x.flatten(2).view(x.size(0),-1,{h},{w})",
    "x.reshape(x.shape[0],{g},{d},{h},{w}).transpose(1,2).reshape(x.shape[0],{c},{h},{w})",
    "x.view(-1,{g},{d},{h},{w}).permute(0,2,1,3,4).contiguous().view(-1,{c},{h},{w})",
    "F.channel_shuffle(x,{g})",
    "x.permute(0,2,3,1).contiguous().permute(0,3,1,2)",
    "x.transpose(2,3)",
    "x.transpose(1,2).contiguous().transpose(1,2)",
    "torch.cat(x.chunk(2,1)[::-1],1)",
    "torch.cat(list(reversed(x.split(1,dim=1))),dim=1)",
    "torch.cat(torch.split(x,[1,{c}-1],1)[::-1],1)",
    "torch.stack(x.unbind(1),1)",
    "torch.stack([x,-x],1).sum(1)",
    "torch.stack([x,x*0.5],2).flatten(1,2)",
    "torch.stack((x,x.relu()),-1).mean(-1)",
    "x[:,:,1:,:-1]",
    "x[:,:,::2,1::2]",
    "x[:,::2]",
    "x[...,1:-1,1:-1]",
    "x[:,-2:]",
    "x[:,[0,-1]]",
    "x[:,1:]+x[:,:-1]",
    "x[:,:1]*x",
    "x.roll(1,2)",
    "torch.roll(x,(1,-2),(2,3))",
    "torch.roll(x,1,1)",
    "x.flip(3)",
    "torch.flip(x,[2,3])",
    "x.narrow(1,0,1)*x",
    "torch.narrow(x,2,1,{h}-2)",
    "x.unsqueeze(2).squeeze(2)",
    "x.unsqueeze(1).expand(-1,2,-1,-1,-1).flatten(1,2)",
    "x.index_select(1,torch.arange({c}-1,-1,-1))",
    "torch.einsum('nchw,nchw->nchw',x,x)",
    "torch.einsum('nchw->nhcw',x).transpose(1,2)",
    "torch.einsum('nchw,ndhw->ncd',x,x).softmax(-1).unsqueeze(-1).mean(2,keepdim=True)*x",
    "torch.rot90(x,1,(2,3))",
    "x.repeat(1,2,1,1)",
    "x.tile((1,1,1,2))",
    "x.repeat_interleave(2,1)",
    "x.movedim(1,-1).movedim(-1,1)",
    "x.swapaxes(2,3)",
    "torch.cat(x.tensor_split(2,1),1)",
    "x.unfold(2,2,2).mean(-1)",
    "x.expand_as(x)",
    "x.select(1,0).unsqueeze(1)+x",
    "torch.cat([x,x.mean(1,keepdim=True)],1)",
    "torch.cat([x,torch.linspace(-1,1,{w}).expand(x.shape[0],1,{h},{w})],1)",
    "torch.cat([x,torch.zeros_like(x[:,:2])],1)",
    "torch.cat([x,x.new_ones(x.shape[0],1,*x.shape[2:])],dim=1)",
    "x.flatten(1).unflatten(1,({c},{h},{w}))",
    "x.reshape(x.shape[0],{c},{h2},2,{w2},2).permute(0,1,3,5,2,4).reshape(x.shape[0],-1,{h2},{w2})",
    "x.reshape(x.shape[0],{c},{h2},2,{w2},2).mean((3,5))",
    "x-x.mean((2,3),keepdim=True)",
    "x/(x.std(dim=(2,3),keepdim=True)+0.1)",
    "(x-x.mean(1,keepdim=True))/torch.sqrt(x.var(1,keepdim=True,unbiased=False)+1e-3)",
    "x*x.mean((2,3))[:,:,None,None]",
    "x*x.amax(dim=(2,3),keepdim=True)",
    "x*x.max(dim=1,keepdim=True)[0]",
    "x.sum(1,keepdim=True)/{c}+x",
    "x+x.mean(dim=[2,3],keepdim=True).sigmoid()",
    "F.layer_norm(x,x.shape[1:])",
    "F.layer_norm(x.permute(0,2,3,1),({c},)).permute(0,3,1,2)",
    "F.instance_norm(x)",
    "F.group_norm(x,{g})",
    "F.local_response_norm(x,3)",
    "(x.flatten(2)@x.flatten(2).transpose(1,2)).softmax(-1)@x.flatten(2).tanh()",
    "x@x.transpose(2,3)/{w}",
    "torch.bmm(x.flatten(2).transpose(1,2).softmax(1).transpose(1,2),x.flatten(2).transpose(1,2))"
    "[:,:,:,None]+x.mean(1,keepdim=True)[:,:,:1]",
    "torch.matmul(x.permute(0,2,3,1),torch.ones({c},3)/{c}).permute(0,3,1,2)",
    "torch.tensordot(x,torch.eye({c}),([1],[0])).permute(0,3,1,2)",
    "F.unfold(x,3,padding=1).view(x.shape[0],-1,{h},{w})",
    "F.scaled_dot_product_attention(x,x,x)",
    "x*torch.tril(torch.ones({h},{w}))",
    "torch.addcmul(x,x,x.sigmoid(),value=0.5)",
    "torch.lerp(x,x.relu(),0.3)",
    "F.glu(torch.cat([x,x],1),1)",
    "x.mean(1,keepdim=True).expand(-1,{c},-1,-1)*0.5+x",
    "x.cumsum(2)/{h}",
    "x.masked_fill(x<0,0.0)",
    "torch.logsumexp(x,1,keepdim=True)+x",
    "x.norm(dim=1,keepdim=True)+x",
    "x.min(dim=1,keepdim=True).values+x",
    "x.prod(1,keepdim=True)+x",
    "torch.atan2(x,x.abs()+1)",
)
IN_PLACE = (
    ["x = x * 1.5", "x[:, :1] += x[:, -1:]"],
    ["y = x.clone()", "y[:, 0] = x[:, -1] * 2", "x = y"],
    ["y = x * 1", "y[:, :, 1:, :] = y[:, :, 1:, :] + x[:, :, :-1, :]", "x = y"],
    ["y = torch.zeros_like(x)", "y[:, :1] = x[:, :1]", "y[:, 1:] = x[:, 1:].relu()", "x = y"],
    ["y = x + 0", "y[:, ::2] *= 0.5", "x = y"],
    ["y = x.clone()", "y[:, :, :1] = 0", "x = y"],
    ["y = x.clone()", "y[..., 1:-1] = x[..., 2:]", "x = y"],
    ["y = x.clone()", "y[:, 0].mul_(0.3)", "x = y"],
    ["x = x.add(1)", "x.add_(x.sigmoid())", "x.mul_(0.5).sub_(0.1)"],
    ["x = x.clone()", "x += 1", "x *= x.tanh()", "x /= 2"],
    ["x = torch.add(x, 1)", "F.relu_(x[:, :1])"],
    ["y = torch.empty_like(x)", "y.copy_(x)", "x = y.relu_()"],
    ["y = x.chunk(2, 1)", "x = torch.cat([y[0].relu(), y[1]], 1)"],
    ["y = x.view(x.shape[0], -1)", "y = y * 2", "x = y.view_as(x)"],
    ["y = x.clone()", "y.view(y.shape[0], -1)[:, :3] = 0", "x = y"],
    ["y = x.clone()", "y.fill_(0.5)", "x = x + y"],
    ["y = x.new_zeros(x.shape[0], x.shape[1] + 2, *x.shape[2:])", "y[:, 1:-1] = x", "x = y"],
    ["y = x.clone()", "y[:, :, 0, 0] = 1.0", "x = y"],
    ["y = x.clone()", "y.masked_fill_(x < 0, 0)", "x = y"],
    ["y = x.clone()", "y[x < 0] = 0", "x = y"],
)
PARAMETERS = (
    ("torch.rand({c}, 1, 1)", "x * self.{n}"),
    ("torch.rand(1, {c}, 1, 1)", "x + self.{n}"),
    ("torch.rand({c})", "x * self.{n}.view(1, -1, 1, 1)"),
    ("torch.rand({c})", "x * self.{n}[:, None, None].sigmoid()"),
    ("torch.rand(1)", "x * self.{n}"),
    ("torch.tensor(0.7)", "x * self.{n} + 1"),
    ("torch.tensor(0.7)", "self.{n} - x"),
    ("torch.rand({h}, {w})", "x + self.{n}"),
    ("torch.rand({c}, {h}, {w})", "x * self.{n}"),
    ("torch.rand(1, {c}, {h}, 1)", "x + self.{n}"),
    ("torch.rand({c}, 5)", "torch.einsum('nchw,cd->ndhw', x, self.{n})"),
    ("torch.rand({c}, 4)", "(x.permute(0, 2, 3, 1) @ self.{n}).permute(0, 3, 1, 2)"),
    ("torch.rand(6, {c}, 3, 3)", "F.conv2d(x, self.{n}, padding=1)"),
    ("torch.rand({c}, 1, 3, 3)", "F.conv2d(x, self.{n}, groups={c}, stride=2)"),
    ("torch.rand({c}, 4, 2, 2)", "F.conv_transpose2d(x, self.{n}, stride=2)"),
    ("torch.rand(4, {c}, 3, 3)", "F.conv2d(x, self.{n} / self.{n}.flatten(1).norm(dim=1).view(-1, 1, 1, 1))"),
    ("torch.rand({c}, {c})", "F.linear(x.permute(0, 2, 3, 1), self.{n}).permute(0, 3, 1, 2)"),
    ("torch.rand({h}, {h})", "self.{n} @ x"),
    ("torch.rand({w}, 5)", "x @ self.{n}"),
    ("torch.rand({c})", "F.prelu(x, self.{n})"),
    ("torch.rand(2)", "x * self.{n}.softmax(0)[0] + x.relu() * self.{n}.softmax(0)[1]"),
    ("torch.rand(3, {c}, 1, 1)", "(x.unsqueeze(1) * self.{n}).sum(1)"),
    ("torch.rand({c}, 1, 1)", "torch.where(x > 0, x, self.{n} * x)"),
    ("torch.rand({c}, 1, 1)", "x / (self.{n}.abs() + 1)"),
    ("torch.rand({c}, 1, 1)", "x.addcmul(x.tanh(), self.{n})"),
)
REFUSED = (
    ["if x.mean() > 0:", "    x = -x"],
    ["x = x + torch.randn_like(x)"],
    ["x = F.dropout(x, 0.5)"],
    ["x = x - x.mean(0, keepdim=True)"],
    ["x = x.roll(1, 0) + x"],
    ["x = F.batch_norm(x, None, None, training=True)"],
    ["x = x * float(x.max())"],
    ["x = x.softmax(0)"],
    ["x = x + torch.rand(1)"],
    ["x = x * x[x > 0].mean()"],
    ["x = x / x.abs().max()"],
)
